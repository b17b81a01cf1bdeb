using Lamina.Cluster.Messages;
using Lamina.Coordinator.Access;
using Lamina.Coordinator.State;
using Microsoft.Extensions.Logging.Abstractions;

namespace Lamina.Coordinator.Tests.Support;

/// <summary>A state database in a folder of its own, with two tenants.</summary>
internal sealed class TestState : IAsyncDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("lamina-state-").FullName;
    private readonly List<KeyRing> _rings = [];

    private TestState() => Options = new StateOptions(_folder);

    public static TenantId Alpha { get; } = new("alpha");

    public static TenantId Beta { get; } = new("beta");

    public StateOptions Options { get; }

    public StateDatabase Database { get; private set; } = null!;

    public ManualTime Time { get; } = new();

    public KeyStore Keys => new(Database, Time);

    public TenantStore Tenants => new(Database, Time);

    public static async Task<TestState> CreateAsync()
    {
        var state = new TestState();
        state.Database = await StateDatabase.OpenAsync(state.Options, CancellationToken.None);
        await state.Tenants.EnsureAsync([Alpha, Beta], CancellationToken.None);
        return state;
    }

    /// <summary>A coordinator's view of it.</summary>
    public async Task<KeyRing> OpenRingAsync()
    {
        KeyRing ring = await KeyRing.StartAsync(Database, Time, NullLogger.Instance, CancellationToken.None);
        _rings.Add(ring);
        return ring;
    }

    public Task<NewKey> NewKeyAsync(TenantId? tenant, KeyScopes scopes = KeyScopes.Inference, TimeSpan? lifetime = null) =>
        Keys.CreateAsync(tenant, "test", tenant is null ? KeyScopes.Admin : scopes, lifetime, CancellationToken.None);

    public async ValueTask DisposeAsync()
    {
        foreach (KeyRing ring in _rings)
        {
            await ring.DisposeAsync();
        }

        Directory.Delete(_folder, recursive: true);
    }
}
