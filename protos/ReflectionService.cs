using Google.Protobuf;
using Google.Protobuf.Reflection;
using Grpc.Core;
using Grpc.Reflection.V1;

namespace Agent.Protos;

/// <summary>Tells tools which services a server has, and their protos. Register it as a singleton, made when first asked.</summary>
/// <param name="files">The files whose services are served; what they import comes along.</param>
public sealed class ReflectionService(params IEnumerable<FileDescriptor> files) : ServerReflection.ServerReflectionBase
{
    private readonly Index index = new(files);

    public override async Task ServerReflectionInfo(
        IAsyncStreamReader<ServerReflectionRequest> requestStream, IServerStreamWriter<ServerReflectionResponse> responseStream, ServerCallContext context)
    {
        while (await requestStream.MoveNext(context.CancellationToken).ConfigureAwait(false))
            await responseStream.WriteAsync(Answer(requestStream.Current)).ConfigureAwait(false);
    }

    internal ServerReflectionResponse Answer(ServerReflectionRequest request)
    {
        var answer = new ServerReflectionResponse { ValidHost = request.Host, OriginalRequest = request };
        switch (request.MessageRequestCase)
        {
            case ServerReflectionRequest.MessageRequestOneofCase.ListServices:
                answer.ListServicesResponse = new ListServiceResponse();
                answer.ListServicesResponse.Service.AddRange(index.Services.Select(name => new ServiceResponse { Name = name }));
                break;
            case ServerReflectionRequest.MessageRequestOneofCase.FileByFilename when index.Files.TryGetValue(request.FileByFilename, out var file):
            case ServerReflectionRequest.MessageRequestOneofCase.FileContainingSymbol when index.Symbols.TryGetValue(request.FileContainingSymbol, out file):
                answer.FileDescriptorResponse = new FileDescriptorResponse();
                answer.FileDescriptorResponse.FileDescriptorProto.AddRange(Index.WithImports([file]).Select(each => each.SerializedData));
                break;
            case ServerReflectionRequest.MessageRequestOneofCase.AllExtensionNumbersOfType when index.Symbols.ContainsKey(request.AllExtensionNumbersOfType):
                answer.AllExtensionNumbersResponse = new ExtensionNumberResponse { BaseTypeName = request.AllExtensionNumbersOfType };   // proto3: none
                break;
            default:
                answer.ErrorResponse = new ErrorResponse { ErrorCode = (int)StatusCode.NotFound, ErrorMessage = "not found" };
                break;
        }
        return answer;
    }

    private sealed class Index
    {
        public Index(IEnumerable<FileDescriptor> files)
        {
            var served = files.ToList();
            Services = [.. served.SelectMany(file => file.Services).Select(service => service.FullName).Order(StringComparer.Ordinal)];
            foreach (var file in WithImports(served))
            {
                Files[file.Name] = file;
                foreach (var service in file.Services)
                {
                    Add(service);
                    foreach (var method in service.Methods)
                        Add(method);
                }
                foreach (var type in file.EnumTypes)
                    Add(type);
                foreach (var type in file.MessageTypes)
                    AddMessage(type);
            }
        }

        public IReadOnlyList<string> Services { get; }

        public Dictionary<string, FileDescriptor> Files { get; } = new(StringComparer.Ordinal);

        public Dictionary<string, FileDescriptor> Symbols { get; } = new(StringComparer.Ordinal);

        public static List<FileDescriptor> WithImports(IEnumerable<FileDescriptor> files)
        {
            var found = new List<FileDescriptor>();
            var seen = new HashSet<string>(StringComparer.Ordinal);
            var open = new Queue<FileDescriptor>(files);
            while (open.TryDequeue(out var file))
            {
                if (!seen.Add(file.Name))
                    continue;
                found.Add(file);
                foreach (var import in file.Dependencies)
                    open.Enqueue(import);
            }
            return found;
        }

        private void Add(IDescriptor symbol) => Symbols[symbol.FullName] = symbol.File;

        private void AddMessage(MessageDescriptor message)
        {
            Add(message);
            foreach (var field in message.Fields.InDeclarationOrder())
                Add(field);
            foreach (var type in message.EnumTypes)
                Add(type);
            foreach (var nested in message.NestedTypes)
                AddMessage(nested);
        }
    }
}

/// <summary>The same for tools that know only the older name of the service; the messages are alike byte for byte.</summary>
public sealed class ReflectionV1AlphaService(ReflectionService service) : Grpc.Reflection.V1Alpha.ServerReflection.ServerReflectionBase
{
    public override async Task ServerReflectionInfo(
        IAsyncStreamReader<Grpc.Reflection.V1Alpha.ServerReflectionRequest> requestStream,
        IServerStreamWriter<Grpc.Reflection.V1Alpha.ServerReflectionResponse> responseStream,
        ServerCallContext context)
    {
        while (await requestStream.MoveNext(context.CancellationToken).ConfigureAwait(false))
        {
            var answer = service.Answer(ServerReflectionRequest.Parser.ParseFrom(requestStream.Current.ToByteArray()));
            await responseStream.WriteAsync(Grpc.Reflection.V1Alpha.ServerReflectionResponse.Parser.ParseFrom(answer.ToByteArray())).ConfigureAwait(false);
        }
    }
}
