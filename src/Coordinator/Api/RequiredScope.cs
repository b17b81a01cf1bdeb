using Lamina.Coordinator.Access;
using Microsoft.AspNetCore.Builder;

namespace Lamina.Coordinator.Api;

/// <summary>What a route asks of its caller. A route that says nothing asks for <see cref="KeyScopes.Inference"/>.</summary>
internal sealed record RequiredScope(KeyScopes Scope)
{
    public static RequiredScope Default { get; } = new(KeyScopes.Inference);

    /// <summary>No credential at all: for what is the same for everybody and says nothing about anybody.</summary>
    public static RequiredScope Nothing { get; } = new(KeyScopes.None);
}

internal static class RequiredScopes
{
    /// <summary>The route asks for a key with one of these scopes.</summary>
    public static T Require<T>(this T endpoint, KeyScopes scope)
        where T : IEndpointConventionBuilder => endpoint.WithMetadata(new RequiredScope(scope));

    /// <summary>The route answers whoever asks.</summary>
    public static T AllowEverybody<T>(this T endpoint)
        where T : IEndpointConventionBuilder => endpoint.WithMetadata(RequiredScope.Nothing);
}
