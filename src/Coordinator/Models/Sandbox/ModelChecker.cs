using System.ComponentModel;
using System.Diagnostics;
using System.Text.Json;

namespace Lamina.Coordinator.Models.Sandbox;

/// <summary>Runs <see cref="ModelCheck"/> in a child process: limits on memory and time, no network, no programs, and where the system permits a network namespace of its own.</summary>
internal static class ModelChecker
{
    /// <summary>The hidden command of <c>lamina</c> that runs the check.</summary>
    public const string Command = "check-model";

    private static readonly TimeSpan s_deadline = TimeSpan.FromSeconds(60);
    private static readonly Lazy<bool> s_canUnshare = new(CanUnshare);

    /// <summary>Where the check can run: this executable when it is <c>lamina</c>, else one beside it; null in hosts that have none.</summary>
    public static string? Executable { get; } = Path.GetFileNameWithoutExtension(Environment.ProcessPath) == "lamina"
        ? Environment.ProcessPath
        : File.Exists(Path.Combine(AppContext.BaseDirectory, "lamina")) ? Path.Combine(AppContext.BaseDirectory, "lamina") : null;

    /// <summary>What protects a check on this machine, in words for the log.</summary>
    public static string Protection(ModelCheckResult result) => string.Join(", ",
    [
        result.MemoryLimited ? "memory, time and files limited" : "NO limit on memory (the system refused it)",
        result.DoorsClosed ? "no sockets and programs (seccomp)" : "sockets and programs NOT closed (no seccomp here)",
        s_canUnshare.Value ? "a network namespace of its own" : "no network namespace of its own (not permitted here)",
    ]);

    /// <exception cref="InvalidDataException">The child refused the file, or did not survive it.</exception>
    public static async Task<ModelCheckResult> CheckAsync(string path, CancellationToken cancellation)
    {
        using Process child = Start(path);
        using var deadline = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        deadline.CancelAfter(s_deadline);
        try
        {
            Task<string> output = child.StandardOutput.ReadToEndAsync(deadline.Token);
            await child.WaitForExitAsync(deadline.Token);
            return Judge(await output, child.ExitCode);
        }
        catch (OperationCanceledException) when (!cancellation.IsCancellationRequested)
        {
            throw new InvalidDataException($"checking the untrusted model took longer than {s_deadline.TotalSeconds} s");
        }
        finally
        {
            if (!child.HasExited)
            {
                child.Kill();
            }
        }
    }

    internal static ModelCheckResult Judge(string output, int exitCode)
    {
        ModelCheckResult? result = null;
        try
        {
            result = exitCode == 0 && output.Length <= 64 << 10 ? JsonSerializer.Deserialize(output, ModelCheckJson.Default.ModelCheckResult) : null;
        }
        catch (JsonException)
        {
        }

        return result switch
        {
            null => throw new InvalidDataException($"the process that checked the untrusted model ended with exit code {exitCode}: the model is refused"),
            { Problem: { } problem } => throw new InvalidDataException($"the untrusted model was refused: {problem}"),
            _ => result,
        };
    }

    private static Process Start(string path)
    {
        string[] check = [Executable!, Command, path];
        string[] line = s_canUnshare.Value ? ["unshare", "--net", .. UserNamespace(), "--", .. check] : check;
        var start = new ProcessStartInfo(line[0], line[1..]) { RedirectStandardOutput = true, RedirectStandardInput = true, UseShellExecute = false };
        foreach (string inherited in start.Environment.Keys.Where(key => key is not ("PATH" or "DOTNET_ROOT" or "HOME" or "TMPDIR" or "LAMINA_CPU")).ToArray())
        {
            start.Environment.Remove(inherited);
        }

        start.Environment["DOTNET_GCHeapHardLimit"] = $"0x{ModelCheck.HeapBytes:X}";
        start.Environment["DOTNET_EnableDiagnostics"] = "0";
        start.Environment["DOTNET_TieredPGO"] = "0";
        try
        {
            Process child = Process.Start(start)!;
            child.StandardInput.Close();
            return child;
        }
        catch (Win32Exception e)
        {
            throw new IOException($"the process that checks untrusted models cannot be started: {e.Message}", e);
        }
    }

    private static string[] UserNamespace() => Environment.IsPrivilegedProcess ? [] : ["--map-current-user"];

    private static bool CanUnshare()
    {
        try
        {
            using var probe = Process.Start(new ProcessStartInfo("unshare", ["--net", .. UserNamespace(), "--", "true"]) { RedirectStandardError = true, RedirectStandardOutput = true });
            return probe is not null && probe.WaitForExit(2000) && probe.ExitCode == 0;
        }
        catch (Win32Exception)
        {
            return false;
        }
    }
}
