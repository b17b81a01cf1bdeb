using Lamina.Coordinator.Access;
using Microsoft.Extensions.Primitives;

namespace Lamina.Coordinator.Api;

/// <summary>Reads the key, or the issuer's token, of an <c>Authorization</c> header; more than one header is none.</summary>
/// <param name="issuer">Null takes keys alone.</param>
internal sealed class Credentials(KeyRing ring, TokenIssuer? issuer)
{
    private const string Scheme = "Bearer ";

    public KeyRing Ring => ring;

    public async ValueTask<(ApiKey? Key, ApiError? Error)> AuthenticateAsync(StringValues header, CancellationToken cancellation)
    {
        if (header.Count == 0)
        {
            return (null, ApiError.MissingKey());
        }

        if (header.Count > 1 || header[0] is not { } text || !text.StartsWith(Scheme, StringComparison.OrdinalIgnoreCase))
        {
            return (null, ApiError.InvalidKey());
        }

        // Part of the header, not a copy that would be left in memory.
        ReadOnlyMemory<char> presented = text.AsMemory(Scheme.Length).Trim();
        (ApiKey? Key, KeyRefusal? Refusal) found = issuer is not null && TokenIssuer.LooksLikeOne(presented.Span)
            ? await issuer.AuthenticateAsync(presented.ToString(), cancellation)
            : await ring.AuthenticateAsync(presented, cancellation);
        return found switch
        {
            ({ } key, _) => (key, null),
            _ => (null, ErrorOf(found.Refusal)),
        };
    }

    /// <summary>What is said to whoever shows a key that is refused; only of a sound one that it, or its tenant, is suspended.</summary>
    public static ApiError ErrorOf(KeyRefusal? refusal) => refusal switch
    {
        KeyRefusal.TenantSuspended => ApiError.TenantSuspended(),
        KeyRefusal.KeySuspended => ApiError.Suspended("key"),
        _ => ApiError.InvalidKey(),
    };
}
