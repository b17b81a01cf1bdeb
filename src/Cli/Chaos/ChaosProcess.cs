using System.Diagnostics;
using System.Reflection;
using System.Runtime.InteropServices;
using System.Text;

namespace Lamina.Cli.Chaos;

/// <summary>One <c>lamina</c> process of the cell under test, and what it said on standard error. Killed on disposal.</summary>
internal sealed class ChaosProcess : IDisposable
{
    public const int SigKill = 9, SigTerm = 15, SigCont = 18, SigStop = 19;

    private readonly Process _process;
    private readonly StringBuilder _said = new();

    private ChaosProcess(string name, Process process)
    {
        Name = name;
        _process = process;
        process.ErrorDataReceived += (_, line) => Remember(line.Data);
        process.OutputDataReceived += (_, line) => Remember(line.Data);
        process.BeginErrorReadLine();
        process.BeginOutputReadLine();
        Exited = process.WaitForExitAsync();
    }

    public string Name { get; }

    public int Id => _process.Id;

    public Task Exited { get; }

    public bool HasExited => _process.HasExited;

    public int ExitCode => _process.ExitCode;

    public string Said
    {
        get
        {
            lock (_said)
            {
                return _said.ToString();
            }
        }
    }

    /// <param name="executable">The lamina executable; null = this process' own.</param>
    /// <param name="within">Command that the process is started through and replaces, such as one that enters a network namespace.</param>
    public static ChaosProcess Start(string name, string? executable, string[] within, params string[] arguments)
    {
        string lamina = executable ?? Environment.ProcessPath!;
        ProcessStartInfo start = new(within.Length > 0 ? within[0] : lamina) { RedirectStandardError = true, RedirectStandardOutput = true, RedirectStandardInput = true };
        foreach (string argument in within.Length > 0 ? within[1..].Append(lamina) : [])
        {
            start.ArgumentList.Add(argument);
        }

        if (executable is null && Path.GetFileNameWithoutExtension(Environment.ProcessPath) == "dotnet")
        {
            start.ArgumentList.Add(Assembly.GetExecutingAssembly().Location);
        }

        foreach (string argument in arguments)
        {
            start.ArgumentList.Add(argument);
        }

        return new ChaosProcess(name, Process.Start(start) ?? throw new CommandException($"{name} could not be started"));
    }

    public void Signal(int signal)
    {
        if (Kill(_process.Id, signal) != 0)
        {
            throw new CommandException($"signal {signal} could not be sent to {Name} (process {_process.Id})");
        }
    }

    public async Task KillAsync()
    {
        if (!_process.HasExited)
        {
            _ = Kill(_process.Id, SigKill);
        }

        await Exited;
    }

    public void Dispose()
    {
        if (!_process.HasExited)
        {
            _ = Kill(_process.Id, SigKill);
            _process.WaitForExit();
        }

        _process.Dispose();
    }

    private void Remember(string? line)
    {
        if (!string.IsNullOrWhiteSpace(line))
        {
            lock (_said)
            {
                _said.AppendLine(line);
            }
        }
    }

    [DllImport("libc", EntryPoint = "kill", SetLastError = true)]
    private static extern int Kill(int processId, int signal);
}
