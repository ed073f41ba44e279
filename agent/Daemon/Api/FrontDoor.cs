using Agent.Daemon.Access;
using Agent.Protos;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;

namespace Agent.Daemon.Api;

/// <summary>What a call over the network meets first: who it is from. A key without a role is answered before anything of its request is read.</summary>
internal sealed class FrontDoor(Callers callers, ApiCalls calls, Refusals refusals)
{
    /// <summary>The one call that a key without a role may make.</summary>
    public const string Pair = "/agent.v1.AccessService/Pair";

    private const long MostToPair = 1024;   // bytes of a request that holds 32

    public Task EnterAsync(HttpContext http, RequestDelegate next)
    {
        if (http.Features.Get<TlsPeer>() is not { } peer) return next(http);
        Caller caller = callers.Of(peer);
        http.Features.Set(caller);
        if (caller.Role != Role.None) return next(http);
        if (http.Request.Path == Pair)
        {
            if (http.Features.Get<IHttpMaxRequestBodySizeFeature>() is { IsReadOnly: false } size) size.MaxRequestBodySize = MostToPair;
            return next(http);
        }
        refusals.Count(Refusals.NoRole, peer.From);
        Errors.Write(http.Response, ApiErrors.From(calls.Refuse(caller, http.Request.Path.Value ?? "")));
        return Task.CompletedTask;
    }
}
