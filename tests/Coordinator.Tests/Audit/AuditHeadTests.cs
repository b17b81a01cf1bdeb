using Lamina.Coordinator.Audit;
using Lamina.Coordinator.Tests.Support;
using Microsoft.Extensions.Logging.Abstractions;

namespace Lamina.Coordinator.Tests.Audit;

/// <summary>The database notes how far a log goes: whole lines that are cut off at its end, or all of it, are missed at the next start and by whoever verifies.</summary>
public sealed class AuditHeadTests : IAsyncLifetime
{
    private readonly string _folder = Directory.CreateTempSubdirectory("lamina-audit-head-").FullName;
    private TestState _state = null!;

    public async ValueTask InitializeAsync() => _state = await TestState.CreateAsync();

    public async ValueTask DisposeAsync()
    {
        await _state.DisposeAsync();
        Directory.Delete(_folder, recursive: true);
    }

    [Fact]
    public async Task Head_OfALogThatWasClosed_IsNotedAndAgrees()
    {
        await WriteAsync("one", "two", "three");
        (string owner, string name, AuditHead head) = Assert.Single(await AuditHeads.ReadAsync(_state.Options, CancellationToken.None));
        AuditVerdict verdict = AuditVerifier.Verify(Files);
        Assert.Equal(("acme", "front", 3L, verdict.LastHash), (owner, name, head.Number, head.Hash));
        await WriteAsync("four");
        Assert.Equal((4, null), (Records().Length, AuditVerifier.Verify(Files, [await NotedAsync()]).Problem));
        Assert.DoesNotContain(Records(), record => record.Contains("\"action\":\"log\"", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData(2, "the log ends at record 2, but record 3 was noted")]
    [InlineData(0, "the log ends at record 0, but record 3 was noted")]
    [InlineData(-1, "the log ends at record 0, but record 3 was noted")]
    public async Task Log_CutAtWholeLines_DoesNotVerifyAndSaysSoFromThenOn(int kept, string missing)
    {
        await WriteAsync("one", "two", "three");
        string[] before = Files;
        if (kept < 0)
        {
            File.Delete(Files[0]);
        }
        else
        {
            File.WriteAllLines(Files[0], File.ReadAllLines(Files[0])[..kept]);
        }

        string[] left = [.. before.Where(File.Exists)];
        Assert.Null(AuditVerifier.Verify(left).Problem);
        AuditVerdict cut = AuditVerifier.Verify(left, [await NotedAsync()]);
        Assert.Equal((missing, true), (cut.Problem, cut.IsOnlyTheAnchor));

        // Nothing else happens: the record of the cut is written for itself, and is what is noted next.
        await WriteAsync();
        Assert.Contains($"\"action\":\"log\",\"result\":\"cut\",\"target\":\"{missing}\"", Records()[^1], StringComparison.Ordinal);
        Assert.Equal(Math.Max(0, kept) + 1, (await NotedAsync()).Number);
        await WriteAsync("after");
        Assert.Equal(Math.Max(0, kept) + 2, Records().Length);
        Assert.Null(AuditVerifier.Verify(Files, [await NotedAsync()]).Problem);
    }

    /// <summary>The hashes have no key, so another log with as many records can be made; the noted hash is not its.</summary>
    [Fact]
    public async Task Log_ThatWasReplacedByAnother_IsMissed()
    {
        await WriteAsync("one", "two");
        AuditHead noted = await NotedAsync();
        File.Delete(Files[0]);
        await using (AuditLog forged = AuditLog.Open(_folder, "front", TimeProvider.System, NullLogger.Instance))
        {
            await forged.WriteAsync(Record("one"));
            await forged.WriteAsync(Record("nothing"));
            await forged.WriteAsync(Record("nothing"));
        }

        Assert.Null(AuditVerifier.Verify(Files).Problem);
        Assert.Contains("record 2 has another hash than was noted", AuditVerifier.Verify(Files, [noted]).Problem, StringComparison.Ordinal);
        await WriteAsync("after");
        Assert.Contains(Records(), record => record.Contains("record 2 has another hash than was noted", StringComparison.Ordinal));
    }

    private string[] Files => AuditVerifier.Find(_folder)["front"];

    private static AuditRecord Record(string target) => new(DateTimeOffset.UnixEpoch, "key", "acme", "admin", "200") { Target = target };

    private async Task<AuditHead> NotedAsync() => Assert.Single(await AuditHeads.ReadAsync(_state.Options, CancellationToken.None)).Head;

    private string[] Records()
    {
        var records = new List<string>();
        Assert.Null(AuditVerifier.Verify(Files, record: records.Add).Problem);
        return [.. records];
    }

    private async Task WriteAsync(params string[] targets)
    {
        await using AuditHeads heads = await AuditHeads.OpenAsync(_folder, "acme", "front", _state.Database, TimeProvider.System, NullLogger.Instance, CancellationToken.None);
        foreach (string target in targets)
        {
            await heads.Log.WriteAsync(Record(target));
        }
    }
}
