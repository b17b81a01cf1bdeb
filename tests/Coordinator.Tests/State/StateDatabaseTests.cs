using System.Runtime.Versioning;
using Lamina.Coordinator.Quotas;
using Lamina.Coordinator.State;
using Lamina.Coordinator.Tests.Support;
using Microsoft.Data.Sqlite;
using Microsoft.EntityFrameworkCore;

namespace Lamina.Coordinator.Tests.State;

[UnsupportedOSPlatform("windows")]
public class StateDatabaseTests
{
    [Fact]
    public async Task Open_NewFolder_MakesFilesOnlyTheOwnerReads()
    {
        await using TestState state = await TestState.CreateAsync();

        foreach (string file in Directory.GetFiles(state.Options.Folder))
        {
            Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(file));
        }

        Assert.True(File.Exists(state.Options.SqlitePath) && File.Exists(state.Options.SecretFile));
    }

    [Fact]
    public async Task Open_Again_KeepsWhatIsThere()
    {
        await using TestState state = await TestState.CreateAsync();

        StateDatabase again = await StateDatabase.OpenAsync(state.Options, CancellationToken.None);
        string[] tenants = await again.RunAsync(context => context.Tenants.Select(tenant => tenant.Id).Order().ToArrayAsync(), CancellationToken.None);

        Assert.Equal(["alpha", "beta"], tenants);
    }

    [Fact]
    public async Task Open_WithAnotherSecret_IsRefused()
    {
        await using TestState state = await TestState.CreateAsync();
        await File.WriteAllTextAsync(state.Options.SecretFile, new string('a', 64));

        InvalidDataException other = await Assert.ThrowsAsync<InvalidDataException>(() => StateDatabase.OpenAsync(state.Options, CancellationToken.None));
        Assert.Contains("is not the one", other.Message, StringComparison.Ordinal);
        File.Delete(state.Options.SecretFile);
        InvalidDataException missing = await Assert.ThrowsAsync<InvalidDataException>(() => StateDatabase.OpenAsync(state.Options, CancellationToken.None));
        Assert.Contains("is missing", missing.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Open_FileOpenToOthers_IsRefused(bool database)
    {
        await using TestState state = await TestState.CreateAsync();
        string path = database ? state.Options.SqlitePath : state.Options.SecretFile;
        File.SetUnixFileMode(path, File.GetUnixFileMode(path) | UnixFileMode.OtherRead);

        InvalidDataException refused = await Assert.ThrowsAsync<InvalidDataException>(() => StateDatabase.OpenAsync(state.Options, CancellationToken.None));
        Assert.Contains("set its mode to 0600", refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Open_UsedByANewerProgram_IsRefused()
    {
        await using TestState state = await TestState.CreateAsync();
        await state.Database.RunAsync(context => context.Database.ExecuteSqlRawAsync("INSERT INTO schema_versions (number, name) VALUES (4000, 'later')"), CancellationToken.None);

        InvalidDataException refused = await Assert.ThrowsAsync<InvalidDataException>(() => StateDatabase.OpenAsync(state.Options, CancellationToken.None));
        Assert.Contains("schema 4000", refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Open_NotADatabase_SaysSo()
    {
        await using TestState state = await TestState.CreateAsync();
        SqliteConnection.ClearAllPools();
        await File.WriteAllTextAsync(state.Options.SqlitePath, new string('x', 4096));

        IOException refused = await Assert.ThrowsAsync<IOException>(() => StateDatabase.OpenAsync(state.Options, CancellationToken.None));
        Assert.Contains("state.db cannot be opened", refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Open_ByManyAtOnce_MigratesOnce()
    {
        string folder = Directory.CreateTempSubdirectory("lamina-state-").FullName;
        try
        {
            var options = new StateOptions(folder);
            StateDatabase[] all = await Task.WhenAll(Enumerable.Range(0, 4).Select(_ => Task.Run(() => StateDatabase.OpenAsync(options, CancellationToken.None))));

            Assert.Single(all.Select(database => database.Secret.Fingerprint).Distinct());
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    /// <summary>A database of the schema before it was noted who suspends: what is suspended there may be an operator's, so it counts as one's.</summary>
    [Fact]
    public async Task Open_SuspensionsOfAnOlderSchema_CountAsOperators()
    {
        await using TestState state = await TestState.CreateAsync();
        await OldSuspensionAsync(state.Database, state.Options);
    }

    /// <summary>Takes a database back to the schema before, with one suspension in it, and opens it again.</summary>
    internal static async Task OldSuspensionAsync(StateDatabase database, StateOptions options)
    {
        await database.RunAsync(
            context => context.Database.ExecuteSqlRawAsync(
                "ALTER TABLE suspensions DROP COLUMN imposed_by; DELETE FROM schema_versions WHERE number >= 4; "
                + "INSERT INTO suspensions (kind, name, tenant, reason, since) VALUES ('Key', '0123456789ab', '', 'old', 5)"),
            CancellationToken.None);
        var store = new SuspensionStore(await StateDatabase.OpenAsync(options, CancellationToken.None));

        Suspension old = Assert.Single(await store.ListAsync(CancellationToken.None));
        Assert.Equal((SuspensionKind.Key, "0123456789ab", null, "old", SuspendedBy.Operator), (old.Kind, old.Name, old.Tenant, old.Reason, old.By));
        await Assert.ThrowsAsync<Lamina.Coordinator.Api.ApiException>(() => store.LiftAsync(old.Kind, old.Name, null, CancellationToken.None, SuspendedBy.Tenant));
        Assert.True(await store.LiftAsync(old.Kind, old.Name, null, CancellationToken.None));
    }

    /// <summary>Two writers that both read before they write: none of their additions is lost.</summary>
    [Fact]
    public async Task Change_FromTwoSides_IsSerialised()
    {
        await using TestState state = await TestState.CreateAsync();
        const int Rounds = 20;
        Task<int> Add() => state.Database.ChangeAsync(
            async context =>
            {
                FactRow? row = await context.Facts.SingleOrDefaultAsync(fact => fact.Name == "sum");
                row ??= context.Facts.Add(new FactRow { Name = "sum", Value = "0" }).Entity;
                row.Value = $"{int.Parse(row.Value, System.Globalization.CultureInfo.InvariantCulture) + 1}";
                return 0;
            },
            CancellationToken.None);

        await Task.WhenAll(Enumerable.Range(0, Rounds).Select(_ => Task.Run(Add)));

        Assert.Equal($"{Rounds}", await state.Database.RunAsync(context => context.Facts.Where(fact => fact.Name == "sum").Select(fact => fact.Value).SingleAsync(), CancellationToken.None));
    }
}
