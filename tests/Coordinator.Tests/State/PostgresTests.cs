using Lamina.Coordinator.Access;
using Lamina.Coordinator.State;
using Lamina.Coordinator.Tests.Support;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.Logging.Abstractions;

namespace Lamina.Coordinator.Tests.State;

/// <summary>Two coordinators on one PostgreSQL database, and what happens when it dies.</summary>
public class PostgresTests
{
    [Fact]
    public async Task Database_OfTwoCoordinators_IsOneAndItsDeathEndsNoStream()
    {
        using TestPostgres postgres = await TestPostgres.StartAsync();
        string folder = Directory.CreateTempSubdirectory("lamina-state-").FullName;
        try
        {
            // Both start at once on the empty database.
            var options = new StateOptions(folder, postgres.ConnectionString);
            StateDatabase[] both = await Task.WhenAll(Enumerable.Range(0, 2).Select(_ => Task.Run(() => StateDatabase.OpenAsync(options, CancellationToken.None))));
            Assert.False(File.Exists(options.SqlitePath));
            var tenants = new TenantStore(both[0], TimeProvider.System);
            var keys = new KeyStore(both[0], TimeProvider.System);
            await tenants.EnsureAsync([TestState.Alpha], CancellationToken.None);
            await using KeyRing ring = await KeyRing.StartAsync(both[1], TimeProvider.System, NullLogger.Instance, CancellationToken.None);

            // What one makes the other takes, and notices when it ends.
            NewKey made = await keys.CreateAsync(TestState.Alpha, "k", KeyScopes.Inference, TimeSpan.FromDays(1), CancellationToken.None);
            NewKey revoked = await keys.CreateAsync(TestState.Alpha, "r", KeyScopes.Inference, null, CancellationToken.None);
            await ring.RefreshAsync(CancellationToken.None);
            Assert.NotNull(ring.Authenticate(made.Text).Key);
            CancellationToken running = ring.EndOf(revoked.Key.Id, TestState.Alpha);
            await keys.RevokeAsync(revoked.Key.Id, null, CancellationToken.None);
            await ring.RefreshAsync(CancellationToken.None);
            Assert.True(running.IsCancellationRequested);

            // Changes from both sides that touch the same row are all kept.
            await Task.WhenAll(Enumerable.Range(0, 12).Select(number => Task.Run(() =>
                new KeyStore(both[number % 2], TimeProvider.System).CreateAsync(TestState.Alpha, $"k{number}", KeyScopes.Usage, null, CancellationToken.None))));
            Assert.Equal(14, (await keys.ListAsync(TestState.Alpha, CancellationToken.None)).Count);
            string version = await both[0].RunAsync(context => context.Facts.Where(fact => fact.Name == FactRow.AccessVersion).Select(fact => fact.Value).SingleAsync(), CancellationToken.None);
            Assert.Equal("16", version);

            await StateDatabaseTests.OldSuspensionAsync(both[0], options);

            postgres.Kill();
            await Assert.ThrowsAsync<StateUnavailableException>(() => keys.RevokeAsync(made.Key.Id, null, CancellationToken.None));
            Assert.NotNull(ring.Authenticate(made.Text).Key);
            Assert.False(ring.EndOf(made.Key.Id, TestState.Alpha).IsCancellationRequested);
            IOException refused = await Assert.ThrowsAsync<IOException>(() => StateDatabase.OpenAsync(options, CancellationToken.None));
            Assert.Contains("the PostgreSQL database of Coordinator:Database cannot be opened", refused.Message, StringComparison.Ordinal);
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }
}
