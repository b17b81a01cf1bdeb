using Lamina.Coordinator;

namespace Lamina.Cli.Output;

/// <summary>Shows loading on standard error: a bar that redraws on a terminal, a plain line per quarter elsewhere, nothing when quiet.</summary>
internal sealed class LoadProgress(bool quiet) : IProgress<DeploymentView>
{
    private const int BarWidth = 30;
    private readonly bool _terminal = !Console.IsErrorRedirected;
    private readonly Lock _gate = new();
    private string _last = "";
    private bool _open;

    public void Report(DeploymentView value)
    {
        string what = value.Phase switch
        {
            DeploymentPhase.Importing => "importing",
            DeploymentPhase.WaitingForNodes => "waiting for nodes",
            DeploymentPhase.Loading => "loading",
            DeploymentPhase.Ready => "ready",
            _ => "failed",
        };
        Report($"{value.Name}: {what}", value.LoadedBytes, value.TotalBytes);
    }

    public void Report(string what, long done, long total)
    {
        if (quiet)
        {
            return;
        }

        lock (_gate)
        {
            double share = total > 0 ? Math.Clamp((double)done / total, 0, 1) : 0;
            if (_terminal)
            {
                int filled = (int)(share * BarWidth);
                Write($"\r\e[K{what} [{new string('#', filled)}{new string('.', BarWidth - filled)}] {share,4:0 %}");
                _open = true;
            }
            else
            {
                string line = total > 0 ? $"{what} {(int)(share * 4) * 25} %" : what;
                if (line != _last)
                {
                    Write(line + "\n");
                }

                _last = line;
            }
        }
    }

    /// <summary>Ends the bar's line, so that what follows starts on its own.</summary>
    public void Done()
    {
        lock (_gate)
        {
            if (_open)
            {
                Write("\r\e[K");
                _open = false;
            }
        }
    }

    private static void Write(string text)
    {
        Console.Error.Write(text);
        Console.Error.Flush();
    }
}
