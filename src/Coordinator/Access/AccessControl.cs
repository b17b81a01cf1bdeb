using Lamina.Coordinator.State;
using Microsoft.Extensions.Logging;

namespace Lamina.Coordinator.Access;

/// <summary>Database, keys and tenants of a running coordinator.</summary>
public sealed class AccessControl : IAsyncDisposable
{
    private AccessControl(StateDatabase state, KeyRing ring, OidcOptions? oidc, TimeProvider time)
    {
        Issuer = oidc is null ? null : new TokenIssuer(oidc, ring);
        State = state;
        Ring = ring;
        Keys = new KeyStore(state, time);
        Tenants = new TenantStore(state, time);
    }

    public StateDatabase State { get; }

    public KeyRing Ring { get; }

    /// <summary>Whose tokens are taken beside keys; null = nobody's.</summary>
    public TokenIssuer? Issuer { get; }

    public KeyStore Keys { get; }

    public TenantStore Tenants { get; }

    /// <summary>Opens the database, adds the configured tenants and reads the keys. Throws with one sentence when it cannot.</summary>
    public static async Task<AccessControl> StartAsync(CoordinatorOptions options, ILogger logger, CancellationToken cancellation)
    {
        StateDatabase state = await StateDatabase.OpenAsync(StateOptions.Of(options), cancellation);
        await new TenantStore(state, TimeProvider.System).EnsureAsync([.. options.Cells.Select(cell => cell.Tenant)], cancellation);
        return new AccessControl(state, await KeyRing.StartAsync(state, TimeProvider.System, logger, cancellation), options.Oidc, TimeProvider.System);
    }

    /// <summary>Takes over a change that this process made at once. Where the database has gone since, the next reading does it.</summary>
    public async Task NoticeAsync()
    {
        try
        {
            await Ring.RefreshAsync(CancellationToken.None);
        }
        catch (StateUnavailableException)
        {
            // The change is written; the watch reads it when the database answers again.
        }
    }

    public ValueTask DisposeAsync() => Ring.DisposeAsync();
}
