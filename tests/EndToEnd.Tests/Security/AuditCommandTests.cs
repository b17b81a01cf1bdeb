using Lamina.Coordinator.Audit;
using Lamina.Coordinator.State;
using Microsoft.Extensions.Logging.Abstractions;

namespace Lamina.EndToEnd.Tests.Security;

/// <summary><c>lamina audit verify</c> beside the database that notes how far the log goes.</summary>
public sealed class AuditCommandTests : IDisposable
{
    private static readonly TimeSpan s_limit = TimeSpan.FromSeconds(180);
    private readonly TemporaryFolder _store = new();

    public void Dispose() => _store.Dispose();

    [Fact]
    public async Task Verify_ALogThatIsCutAtWholeLinesOrGone_SaysSo()
    {
        string folder = Path.Combine(_store.Path, "audit");
        StateDatabase state = await StateDatabase.OpenAsync(new StateOptions(_store.Path), CancellationToken.None);
        await using (AuditHeads heads = await AuditHeads.OpenAsync(folder, "acme", "front", state, TimeProvider.System, NullLogger.Instance, CancellationToken.None))
        {
            foreach (string target in new[] { "one", "two", "three" })
            {
                await heads.Log.WriteAsync(new AuditRecord(DateTimeOffset.UnixEpoch, "key", "acme", "admin", "200") { Target = target });
            }
        }

        string file = Path.Combine(folder, "front-000000000001.audit");
        Assert.StartsWith("front: 3 records hold; last 3:", await VerifyAsync(0), StringComparison.Ordinal);
        await File.WriteAllLinesAsync(file, (await File.ReadAllLinesAsync(file))[..2]);
        Assert.StartsWith("front: 2 records hold, then not: the log ends at record 2, but record 3 was noted; last 2:", await VerifyAsync(1), StringComparison.Ordinal);
        File.Delete(file);
        Assert.StartsWith("front: 0 records hold, then not: the log ends at record 0, but record 3 was noted; last 0:", await VerifyAsync(1), StringComparison.Ordinal);

        // The next start goes on and says what is missing; whoever verifies reads it.
        await using (await AuditHeads.OpenAsync(folder, "acme", "front", state, TimeProvider.System, NullLogger.Instance, CancellationToken.None))
        {
        }

        Assert.Contains("front: something is missing before this record: {\"number\":1,", await VerifyAsync(0), StringComparison.Ordinal);

        async Task<string> VerifyAsync(int exitCode)
        {
            using LaminaProcess process = await LaminaProcess.RunAsync(s_limit, "audit", "verify", folder);
            Assert.True(process.ExitCode == exitCode, process.Output + process.Error);
            return process.Output;
        }
    }
}
