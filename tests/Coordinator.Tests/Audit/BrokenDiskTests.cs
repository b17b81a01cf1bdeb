using System.Diagnostics;
using System.Text;
using Lamina.Coordinator.Audit;
using Lamina.TestSupport;
using Microsoft.Extensions.Logging.Abstractions;

namespace Lamina.Coordinator.Tests.Audit;

/// <summary>A disk that fails or is full costs records, which are counted, and nothing else: the chain holds, and the log goes on and opens again.</summary>
public sealed class BrokenDiskTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("lamina-audit-disk-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    /// <summary>Keeps part of each write and then says that there is no more room, while it is told to.</summary>
    private sealed class FailingFile(string path, FileMode mode) : FileStream(path, mode, FileAccess.ReadWrite, FileShare.Read, bufferSize: 0)
    {
        public int? FailsAfterBytes { get; set; }
        public bool KeepsItsLength { get; set; }

        public override void Write(byte[] buffer, int offset, int count)
        {
            base.Write(buffer, offset, Math.Min(count, FailsAfterBytes ?? count));
            if (FailsAfterBytes is not null)
            {
                throw new IOException("no space left on device");
            }
        }

        public override void SetLength(long value)
        {
            if (KeepsItsLength)
            {
                throw new IOException("input/output error");
            }

            base.SetLength(value);
        }
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Write_ThatFailsAnywhereInABatch_CostsThatBatchAndIsCounted(bool keepsItsLength)
    {
        FailingFile? file = null;
        await using (AuditLog log = AuditLog.Open(_folder, "front", TimeProvider.System, NullLogger.Instance, (path, mode) => file = new FailingFile(path, mode), long.MaxValue))
        {
            await log.WriteAsync(Record("before"));
            for (int kept = 0; kept <= 200; kept += AttackScale.Cases(40, 1))
            {
                (file!.FailsAfterBytes, file.KeepsItsLength) = (kept, keepsItsLength);
                await Assert.ThrowsAsync<IOException>(() => log.WriteAsync(Record($"lost {kept}")));
                await Assert.ThrowsAsync<IOException>(() => log.WriteAsync(Record($"lost {kept}") with { Suppressed = 5 }));
                (file.FailsAfterBytes, file.KeepsItsLength) = (null, false);
                await log.WriteAsync(Record($"after {kept}"));
                string[] last = [.. Records()[^2..]];
                Assert.Contains("\"action\":\"log\",\"result\":\"lost\",\"target\":\"records that could not be written\",\"suppressed\":7}", last[0], StringComparison.Ordinal);
                Assert.Contains($"\"target\":\"after {kept}\"", last[1], StringComparison.Ordinal);
            }

            Assert.DoesNotContain(log.Recent(int.MaxValue, _ => true), json => Encoding.UTF8.GetString(json).Contains("lost ", StringComparison.Ordinal));
        }

        await WriteAsync("next start");
        Assert.Contains("next start", Records()[^1], StringComparison.Ordinal);
    }

    [Fact]
    public async Task Failure_AtTheEnd_IsSaidBeforeTheLogCloses()
    {
        FailingFile? file = null;
        await using (AuditLog log = AuditLog.Open(_folder, "front", TimeProvider.System, NullLogger.Instance, (path, mode) => file = new FailingFile(path, mode), long.MaxValue))
        {
            file!.FailsAfterBytes = 3;
            await Assert.ThrowsAsync<IOException>(() => log.WriteAsync(Record("lost")));
            file.FailsAfterBytes = null;
        }

        Assert.Contains("\"result\":\"lost\"", Assert.Single(Records()), StringComparison.Ordinal);
    }

    [Fact]
    public async Task NextFile_ThatCannotBeBegun_LeavesTheLogInItsLast()
    {
        bool mayBegin = false;
        await using (AuditLog log = AuditLog.Open(_folder, "front", TimeProvider.System, NullLogger.Instance, Open, maxFileBytes: 1))
        {
            await log.WriteAsync(Record("one"));
            await log.WriteAsync(Record("two"));
            Assert.Single(Files);
            mayBegin = true;
            await log.WriteAsync(Record("three"));
            await log.WriteAsync(Record("four"));
        }

        Assert.Equal(["front-000000000001.audit", "front-000000000003.audit", "front-000000000004.audit"], Files.Select(Path.GetFileName));
        await WriteAsync("five");
        Assert.Equal(5, Records().Length);

        FileStream Open(string path, FileMode mode) => mode == FileMode.CreateNew && !mayBegin ? throw new IOException("too many open files") : AuditFiles.OpenUnbuffered(path, mode);
    }

    /// <summary>A crash leaves any part of what was written: all whole lines count, and what was begun is dropped with a record that says so.</summary>
    [Fact]
    public async Task Log_CutAnywhere_OpensAgainAndSaysSo()
    {
        await WriteAsync("one", "two");
        byte[] whole = await File.ReadAllBytesAsync(Files[0]);
        int step = AttackScale.Cases(11, 1);
        int[] ends = [.. Enumerable.Range(0, whole.Length + 1).Where(at => at == 0 || whole[at - 1] == '\n')];
        int[] cuts = [.. Enumerable.Range(0, whole.Length + 1).Where(at => at % step == 0 || ends.Any(end => Math.Abs(end - at) <= 1))];
        Assert.Equal(3, ends.Length);
        await Task.WhenAll(cuts.Select(async cut =>
        {
            string folder = Directory.CreateDirectory(Path.Combine(_folder, $"cut-{cut}")).FullName;
            await File.WriteAllBytesAsync(Path.Combine(folder, Path.GetFileName(Files[0])), whole[..cut]);
            await using (AuditLog log = AuditLog.Open(folder, "front", TimeProvider.System, NullLogger.Instance))
            {
                await log.WriteAsync(Record("after"));
            }

            var records = new List<string>();
            AuditVerdict verdict = AuditVerifier.Verify(AuditVerifier.Find(folder)["front"], record: records.Add);
            int kept = ends.Count(end => end > 0 && end <= cut);
            bool isTorn = !ends.Contains(cut);
            Assert.Equal((null, kept + (isTorn ? 2 : 1)), (verdict.Problem, records.Count));
            Assert.Equal(isTorn, records[kept].Contains("\"result\":\"repaired\"", StringComparison.Ordinal));
        }));
    }

    [Fact]
    public async Task Disk_ThatIsFullForAWhile_CostsWhatCameMeanwhile()
    {
        string disk = Directory.CreateDirectory(Path.Combine(_folder, "disk")).FullName;
        Assert.SkipUnless(Environment.IsPrivilegedProcess && await RunAsync("mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", disk), "needs a user who may mount a small file system");
        try
        {
            await using (AuditLog log = AuditLog.Open(Path.Combine(disk, "audit"), "front", TimeProvider.System, NullLogger.Instance))
            {
                await log.WriteAsync(Record("before"));
                string filler = Path.Combine(disk, "filler");
                await using (var file = new FileStream(filler, FileMode.Create))
                {
                    Assert.Throws<IOException>(() =>
                    {
                        file.Write(new byte[128 << 10]);
                        file.Flush();
                    });
                }

                int lost = 0;
                for (int i = 0; i < 100; i++)
                {
                    try
                    {
                        await log.WriteAsync(Record($"meanwhile {i}"));
                    }
                    catch (IOException)
                    {
                        lost++;
                    }
                }

                Assert.True(lost > 0, "the disk was never full");
                File.Delete(filler);
                await log.WriteAsync(Record("after"));
                Assert.Contains($"\"suppressed\":{lost}}}", Records(Path.Combine(disk, "audit"))[^2], StringComparison.Ordinal);
            }

            await using AuditLog again = AuditLog.Open(Path.Combine(disk, "audit"), "front", TimeProvider.System, NullLogger.Instance);
        }
        finally
        {
            await RunAsync("umount", disk);
        }
    }

    private string[] Files => AuditVerifier.Find(_folder)["front"];

    private static AuditRecord Record(string target) => new(DateTimeOffset.UnixEpoch, "key", "acme", "admin", "200") { Target = target };

    private string[] Records() => Records(_folder);

    private static string[] Records(string folder)
    {
        var records = new List<string>();
        Assert.Null(AuditVerifier.Verify(AuditVerifier.Find(folder)["front"], record: records.Add).Problem);
        return [.. records];
    }

    private async Task WriteAsync(params string[] targets)
    {
        await using AuditLog log = AuditLog.Open(_folder, "front", TimeProvider.System, NullLogger.Instance);
        foreach (string target in targets)
        {
            await log.WriteAsync(Record(target));
        }
    }

    private static async Task<bool> RunAsync(string program, params string[] arguments)
    {
        try
        {
            using Process process = Process.Start(new ProcessStartInfo(program, arguments) { RedirectStandardError = true })!;
            await process.WaitForExitAsync();
            return process.ExitCode == 0;
        }
        catch (System.ComponentModel.Win32Exception)
        {
            return false;
        }
    }
}
