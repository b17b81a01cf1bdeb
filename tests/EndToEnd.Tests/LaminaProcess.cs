using System.Collections.Concurrent;
using System.Diagnostics;
using System.Runtime.InteropServices;
using System.Text;
using Lamina.TestSupport;

namespace Lamina.EndToEnd.Tests;

/// <summary>The shipping executable as a process of its own, with what it printed. Killed with all its children on disposal.</summary>
internal sealed class LaminaProcess : IDisposable
{
    private readonly Process _process;
    private readonly StringBuilder _output = new();
    private readonly StringBuilder _error = new();
    private readonly ConcurrentDictionary<string, TaskCompletionSource<string>> _waiting = new();

    private LaminaProcess(Process process)
    {
        _process = process;
        process.OutputDataReceived += (_, line) => Take(_output, line.Data);
        process.ErrorDataReceived += (_, line) => Take(_error, line.Data);
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();
    }

    public int Id => _process.Id;
    public bool HasExited => _process.HasExited;
    public int ExitCode => _process.ExitCode;
    public string Output => Text(_output);
    public string Error => Text(_error);

    /// <summary>The executable as <c>./test</c> publishes it, compiled ahead of time; the plain build where that is newer.</summary>
    public static string Executable { get; } = Newest(Path.Combine(Repository.Root, "artifacts", "app"), Path.Combine(Repository.Root, "artifacts", "bin", "Cli", "release"));

    public static LaminaProcess Start(params string[] arguments) => Start(arguments, environment: null);

    public static LaminaProcess Start(string[] arguments, IReadOnlyDictionary<string, string>? environment)
    {
        // A test run started in the background hands down an ignored SIGINT, which no process of .NET takes back; env does, and then becomes the executable.
        ProcessStartInfo start = new("env", ["--default-signal=INT", Executable, .. arguments])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            RedirectStandardInput = true,
            WorkingDirectory = Path.GetTempPath(),
        };
        start.Environment["LAMINA_HOME"] = Repository.Root;
        foreach ((string key, string value) in environment ?? new Dictionary<string, string>())
        {
            start.Environment[key] = value;
        }

        return new LaminaProcess(Process.Start(start)!);
    }

    /// <summary>Runs to the end; fails the test when it takes longer.</summary>
    public static Task<LaminaProcess> RunAsync(TimeSpan limit, params string[] arguments) => RunAsync(limit, arguments, environment: null);

    public static async Task<LaminaProcess> RunAsync(TimeSpan limit, string[] arguments, IReadOnlyDictionary<string, string>? environment)
    {
        LaminaProcess process = Start(arguments, environment);
        await process.WaitForExitAsync(limit);
        return process;
    }

    public async Task WaitForExitAsync(TimeSpan limit)
    {
        using CancellationTokenSource deadline = new(limit);
        try
        {
            await _process.WaitForExitAsync(deadline.Token);
        }
        catch (OperationCanceledException)
        {
            Assert.Fail($"process {_process.Id} did not end within {limit.TotalSeconds} s\n{Output}\n{Error}");
        }
    }

    /// <summary>Waits for a line, on either stream, that contains the text.</summary>
    public async Task<string> WaitForLineAsync(string text, TimeSpan limit)
    {
        TaskCompletionSource<string> found = _waiting.GetOrAdd(text, _ => new(TaskCreationOptions.RunContinuationsAsynchronously));
        foreach (string line in (Output + "\n" + Error).Split('\n'))
        {
            if (line.Contains(text, StringComparison.Ordinal))
            {
                found.TrySetResult(line);
            }
        }

        Task exited = _process.WaitForExitAsync();
        Task first = await Task.WhenAny(found.Task, exited, Task.Delay(limit));
        return first == found.Task ? await found.Task : throw new InvalidOperationException($"no line with '{text}' {(first == exited ? $"before exit {_process.ExitCode}" : $"within {limit.TotalSeconds} s")}\n{Output}\n{Error}");
    }

    /// <summary>The key of a tenant that <c>lamina serve</c> shows once.</summary>
    public async Task<string> WaitForKeyAsync(string tenant, TimeSpan limit)
    {
        string line = await WaitForLineAsync($"key of tenant {tenant}", limit);
        return line[(line.LastIndexOf(' ') + 1)..].Trim();
    }

    public void Signal(PosixSignal signal) => Assert.Equal(0, Kill(_process.Id, signal switch { PosixSignal.SIGINT => 2, PosixSignal.SIGTERM => 15, _ => throw new ArgumentOutOfRangeException(nameof(signal)) }));

    public static void Send(int processId, int signal) => Assert.Equal(0, Kill(processId, signal));

    public void Dispose()
    {
        if (!_process.HasExited)
        {
            _process.Kill(entireProcessTree: true);
            _process.WaitForExit();
        }

        _process.Dispose();
    }

    private void Take(StringBuilder builder, string? line)
    {
        if (line is null)
        {
            return;
        }

        lock (builder)
        {
            builder.AppendLine(line);
        }

        foreach ((string text, TaskCompletionSource<string> found) in _waiting)
        {
            if (line.Contains(text, StringComparison.Ordinal))
            {
                found.TrySetResult(line);
            }
        }
    }

    private static string Newest(string published, string built)
    {
        string[] rooms = Directory.Exists(built) ? [.. Directory.GetFiles(built, "Lamina.*.dll"), Path.Combine(built, "lamina.dll")] : [];
        bool isCurrent = File.Exists(Path.Combine(published, "lamina"))
            && rooms.All(room => File.GetLastWriteTimeUtc(Path.Combine(published, Path.GetFileName(room))) >= File.GetLastWriteTimeUtc(room));
        return Path.Combine(isCurrent ? published : built, "lamina");
    }

    private static string Text(StringBuilder builder)
    {
        lock (builder)
        {
            return builder.ToString();
        }
    }

    [DllImport("libc", EntryPoint = "kill", SetLastError = true)]
    private static extern int Kill(int processId, int signal);
}
