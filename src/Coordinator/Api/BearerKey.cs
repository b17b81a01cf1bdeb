using Lamina.Coordinator.Access;
using Microsoft.Extensions.Primitives;

namespace Lamina.Coordinator.Api;

/// <summary>Reads the key of an <c>Authorization</c> header; more than one header is none.</summary>
internal static class BearerKey
{
    private const string Scheme = "Bearer ";

    public static (ApiKey? Key, ApiError? Error) Authenticate(KeyRing ring, StringValues header)
    {
        if (header.Count == 0)
        {
            return (null, ApiError.MissingKey());
        }

        if (header.Count > 1 || header[0] is not { } text || !text.StartsWith(Scheme, StringComparison.OrdinalIgnoreCase))
        {
            return (null, ApiError.InvalidKey());
        }

        return ring.Authenticate(text[Scheme.Length..].Trim()) switch
        {
            ({ } key, _) => (key, null),
            (_, KeyRefusal.TenantSuspended) => (null, ApiError.TenantSuspended()),
            _ => (null, ApiError.InvalidKey()),
        };
    }
}
