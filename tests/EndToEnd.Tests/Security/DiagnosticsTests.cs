using System.Globalization;
using Lamina.TestSupport;

namespace Lamina.EndToEnd.Tests.Security;

/// <summary>The runtime opens sockets for debuggers and profilers, through which another process of the user could read a process's memory; none is left to connect to.</summary>
public sealed class DiagnosticsTests
{
    private static readonly TimeSpan s_limit = TimeSpan.FromSeconds(180);

    [Trait("Attack", "P2")]
    [Fact]
    public async Task Processes_ThatServe_LeaveNoDumpsAndNoSocketsForDebuggers()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "reads /proc");
        using TemporaryFolder folder = new();
        string file = Path.Combine(folder.Path, "serve.json");
        await File.WriteAllTextAsync(file, $$"""{ "Serve": { "Listen": "127.0.0.1:0", "Models": [{ "Path": "{{Repository.File("models/lamina-tiny-q8_0.gguf")}}" }] } }""");
        using LaminaProcess serve = LaminaProcess.Start("serve", "--config", file);
        await serve.WaitForLineAsync("API at", s_limit);

        int[] processes = [serve.Id, .. ProcessTable.Children(serve.Id)];
        Assert.True(processes.Length > 1);
        foreach (int process in processes)
        {
            string pid = process.ToString(CultureInfo.InvariantCulture);
            Assert.Contains(File.ReadLines($"/proc/{pid}/limits"), line => line.StartsWith("Max core file size", StringComparison.Ordinal) && line.Split(' ', StringSplitOptions.RemoveEmptyEntries)[4..6] is ["0", "0"]);
            foreach (string temporary in new[] { Path.GetTempPath(), "/tmp" }.Distinct())
            {
                Assert.Empty(Directory.EnumerateFiles(temporary, $"dotnet-diagnostic-{pid}-*"));
                Assert.Empty(Directory.EnumerateFiles(temporary, $"clr-debug-pipe-{pid}-*"));
            }
        }
    }
}
