using System.Globalization;
using Agent.V1;
using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using Grpc.Core;
using Microsoft.AspNetCore.Http;

namespace Agent.Protos;

/// <summary>The operator's error as detail of a failed call, in the form that gRPC tools know (google.rpc.Status).</summary>
public static class Errors
{
    private const string Trailer = "grpc-status-details-bin";

    // Written by hand instead of with Any.Pack, which loads every descriptor: an error should not cost the CLI that time.
    private const string ErrorType = "type.googleapis.com/agent.v1.OperatorError";

    /// <summary>Of each text. Trailers above 8 KiB are refused by some clients.</summary>
    private const int MaxCharacters = 1000;

    /// <summary>The exception that a handler throws. Texts longer than 1000 characters are cut.</summary>
    public static RpcException ToException(StatusCode code, OperatorError error)
    {
        var sent = new OperatorError { What = Cut(error.What), Remedy = Cut(error.Remedy), ExitCode = error.ExitCode };
        var details = new Google.Rpc.Status
        {
            Code = (int)code,
            Message = sent.What,
            Details = { new Any { TypeUrl = ErrorType, Value = sent.ToByteString() } },
        };
        return new RpcException(new Status(code, sent.What), new Metadata { { Trailer, details.ToByteArray() } });
    }

    /// <summary>The detail that came with a failed call.</summary>
    /// <returns>Null: there is none, or it cannot be read.</returns>
    public static OperatorError? FromException(RpcException exception)
    {
        if (exception.Trailers.GetValueBytes(Trailer) is not { } bytes)
            return null;
        try
        {
            var error = Google.Rpc.Status.Parser.ParseFrom(bytes).Details.FirstOrDefault(detail => detail.TypeUrl == ErrorType);
            return error is null ? null : OperatorError.Parser.ParseFrom(error.Value);
        }
        catch (InvalidProtocolBufferException)
        {
            return null;
        }
    }

    /// <summary>Answers a call with an error, whatever its request holds: nothing more of that is read.</summary>
    public static void Write(HttpResponse response, RpcException error)
    {
        response.StatusCode = StatusCodes.Status200OK;
        response.ContentType = "application/grpc";
        response.Headers["grpc-status"] = ((int)error.StatusCode).ToString(CultureInfo.InvariantCulture);
        response.Headers["grpc-message"] = Uri.EscapeDataString(error.Status.Detail);
        foreach (var entry in error.Trailers)
            response.Headers.Append(entry.Key, entry.IsBinary ? Convert.ToBase64String(entry.ValueBytes) : entry.Value);
    }

    private static string Cut(string text)
    {
        if (text.Length <= MaxCharacters)
            return text;
        var length = char.IsHighSurrogate(text[MaxCharacters - 2]) ? MaxCharacters - 2 : MaxCharacters - 1;
        return string.Concat(text.AsSpan(0, length), "…");
    }
}
