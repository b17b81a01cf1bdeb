using System.Security.Cryptography;
using System.Text;
using Lamina.Coordinator.Audit;
using Lamina.Coordinator.Tests.Support;
using Microsoft.Extensions.Logging.Abstractions;

namespace Lamina.Coordinator.Tests.Audit;

/// <summary>The log as files: what is written holds, and nothing can be changed, left out or put in without being noticed.</summary>
public sealed class AuditLogTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("lamina-audit-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public async Task Log_WrittenInTwoRuns_HoldsAsOneChain()
    {
        await WriteAsync("one", "two");
        await WriteAsync("three");
        var records = new List<string>();
        AuditVerdict verdict = AuditVerifier.Verify(Files, record: records.Add);
        Assert.Equal((3L, null), (verdict.Records, verdict.Problem));
        Assert.Contains("\"number\":3,", records[2], StringComparison.Ordinal);
        Assert.Contains("\"target\":\"three\"", records[2], StringComparison.Ordinal);
    }

    [Fact]
    public async Task Line_IsTheHashOfTheOneBeforeAndItsOwnText()
    {
        await WriteAsync("one", "two");
        string[] lines = File.ReadAllLines(Files[0]);
        byte[] first = SHA256.HashData([.. new byte[32], .. Encoding.UTF8.GetBytes(lines[0][65..])]);
        byte[] second = SHA256.HashData([.. first, .. Encoding.UTF8.GetBytes(lines[1][65..])]);
        Assert.Equal([Convert.ToHexStringLower(first), Convert.ToHexStringLower(second)], lines.Select(line => line[..64]));
    }

    [Fact]
    public async Task Record_ChangedOrLeftOutOrMoved_IsFound()
    {
        await WriteAsync("one", "two", "three", "four");
        string[] lines = File.ReadAllLines(Files[0]);
        string[][] forgeries =
        [
            [lines[0], lines[1].Replace("two", "owt", StringComparison.Ordinal), lines[2], lines[3]],
            [lines[0], lines[2], lines[3]],
            [lines[1], lines[2], lines[3]],
            [lines[0], lines[2], lines[1], lines[3]],
            [lines[0], lines[1], lines[1], lines[2], lines[3]],
            [lines[0], "", lines[1], lines[2], lines[3]],
        ];
        foreach (string[] forged in forgeries)
        {
            File.WriteAllLines(Files[0], forged);
            Assert.NotNull(AuditVerifier.Verify(Files).Problem);
        }
    }

    [Fact]
    public async Task Log_CutOffAtItsEnd_IsFoundByWhatWasNoted()
    {
        await WriteAsync("one", "two", "three");
        AuditVerdict whole = AuditVerifier.Verify(Files);
        File.WriteAllLines(Files[0], File.ReadAllLines(Files[0])[..2]);
        Assert.Null(AuditVerifier.Verify(Files).Problem);
        Assert.NotNull(AuditVerifier.Verify(Files, [new AuditHead(whole.Records, whole.LastHash)]).Problem);
    }

    [Fact]
    public async Task Log_WhoseLastLineACrashCut_GoesOnAndSaysSo()
    {
        await WriteAsync("one", "two");
        string text = File.ReadAllText(Files[0]);
        File.WriteAllText(Files[0], text[..^10]);
        await WriteAsync("three");
        var records = new List<string>();
        Assert.Equal((3L, null), (AuditVerifier.Verify(Files, record: records.Add) is var verdict ? verdict.Records : 0, verdict.Problem));
        Assert.Contains("\"result\":\"repaired\"", records[1], StringComparison.Ordinal);
    }

    [Fact]
    public async Task Log_ThatDoesNotHold_IsNotContinued()
    {
        await WriteAsync("one", "two");
        File.WriteAllLines(Files[0], File.ReadAllLines(Files[0])[1..]);
        Assert.Throws<InvalidDataException>(() => AuditLog.Open(_folder, "front", TimeProvider.System, NullLogger.Instance));
    }

    [Fact]
    public void Refusals_InAFlood_AreRecordedATenTimesASecondAndCounted()
    {
        var time = new ManualTime();
        var limit = new RecordLimit(10, time);
        Assert.Equal(10, Enumerable.Range(0, 1000).Count(i => limit.TryPass("a", out _)));
        Assert.True(limit.TryPass("b", out _));
        time.Advance(TimeSpan.FromSeconds(1));
        Assert.True(limit.TryPass("a", out long suppressed));
        Assert.Equal(990, suppressed);
    }

    private string[] Files => AuditVerifier.Find(_folder)["front"];

    private async Task WriteAsync(params string[] targets)
    {
        await using AuditLog log = AuditLog.Open(_folder, "front", TimeProvider.System, NullLogger.Instance);
        foreach (string target in targets)
        {
            await log.WriteAsync(new AuditRecord(DateTimeOffset.UnixEpoch, "key", "acme", "admin", "200") { Target = target });
        }
    }
}
