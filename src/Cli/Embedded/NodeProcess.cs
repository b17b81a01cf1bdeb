using System.Diagnostics;
using System.Reflection;
using System.Runtime.InteropServices;
using System.Text.Json;

namespace Lamina.Cli.Embedded;

/// <summary>A <c>lamina node</c> process started by this one. It ends when asked, when killed, or when this process' end of its standard input closes.</summary>
internal sealed class NodeProcess
{
    private static readonly TimeSpan GracePeriod = TimeSpan.FromSeconds(3);

    private readonly Process _process;
    private readonly Queue<string> _errors = new();

    private NodeProcess(string name, Process process)
    {
        Name = name;
        _process = process;
        process.ErrorDataReceived += (_, line) => Remember(line.Data);
        process.BeginErrorReadLine();
        Exited = process.WaitForExitAsync();
    }

    public string Name { get; }
    public int Id => _process.Id;
    public Task Exited { get; }
    public int ExitCode => _process.ExitCode;

    public static NodeProcess Start(string folder, IReadOnlyDictionary<string, object> nodeSection)
    {
        string name = (string)nodeSection["Name"];
        string configuration = Path.Combine(folder, $"{name}.json");
        File.WriteAllText(configuration, JsonSerializer.Serialize(new Dictionary<string, object> { ["Node"] = nodeSection }));
        ProcessStartInfo start = new(Environment.ProcessPath!)
        {
            RedirectStandardInput = true,
            RedirectStandardError = true,
        };
        if (Path.GetFileNameWithoutExtension(Environment.ProcessPath) == "dotnet")
        {
            start.ArgumentList.Add(Assembly.GetExecutingAssembly().Location);
        }

        foreach (string argument in (string[])["node", "--config", configuration, "--end-with-parent"])
        {
            start.ArgumentList.Add(argument);
        }

        return new NodeProcess(name, Process.Start(start) ?? throw new CommandException($"{name} could not be started"));
    }

    /// <summary>The last thing the process said on standard error.</summary>
    public string LastError()
    {
        lock (_errors)
        {
            return _errors.Count > 0 ? _errors.Last() : "it said nothing";
        }
    }

    /// <summary>Asks it to end, and kills it when it does not within the grace period.</summary>
    public async Task StopAsync()
    {
        if (!_process.HasExited)
        {
            _ = Kill(_process.Id, SigTerm);
            try
            {
                await Exited.WaitAsync(GracePeriod);
            }
            catch (TimeoutException)
            {
                _process.Kill();
                await Exited;
            }
        }

        _process.Dispose();
    }

    private void Remember(string? line)
    {
        if (!string.IsNullOrWhiteSpace(line))
        {
            lock (_errors)
            {
                _errors.Enqueue(line);
                if (_errors.Count > 20)
                {
                    _errors.Dequeue();
                }
            }
        }
    }

    private const int SigTerm = 15;

    [DllImport("libc", EntryPoint = "kill", SetLastError = true)]
    private static extern int Kill(int processId, int signal);
}
