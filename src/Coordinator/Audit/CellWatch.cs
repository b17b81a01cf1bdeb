using Lamina.Cluster.Identity;
using Lamina.Cluster.Messages;

namespace Lamina.Coordinator.Audit;

/// <summary>Records each change of a deployment's plan and phase, and peers that cells refused: at most one record of a reason each time it looks, however many there were.</summary>
internal sealed class CellWatch : IAsyncDisposable
{
    private static readonly TimeSpan s_interval = TimeSpan.FromMilliseconds(250);

    private readonly CancellationTokenSource _stopping = new();
    private readonly Task _watching;

    public CellWatch(Func<IReadOnlyList<Cell>> cells, Auditor auditor) => _watching = Task.Run(() => WatchAsync(cells, auditor));

    public async ValueTask DisposeAsync()
    {
        await _stopping.CancelAsync();
        await _watching;
        _stopping.Dispose();
    }

    private async Task WatchAsync(Func<IReadOnlyList<Cell>> cells, Auditor auditor)
    {
        var seen = new Dictionary<(string Tenant, string Name), (int Epoch, DeploymentPhase Phase)>();
        var refused = new Dictionary<(TenantId Tenant, RefusalReason Reason), long>();
        using var timer = new PeriodicTimer(s_interval);
        try
        {
            do
            {
                foreach (Cell cell in cells())
                {
                    foreach (DeploymentView deployment in cell.Deployments)
                    {
                        (string, string) place = (cell.Tenant.Value, deployment.Name);
                        (int, DeploymentPhase) now = (deployment.Epoch, deployment.Phase);
                        if (!seen.TryGetValue(place, out var before) || before != now)
                        {
                            seen[place] = now;
                            auditor.Plan(cell.Tenant, deployment);
                        }
                    }

                    foreach ((RefusalReason reason, long count, string? last) in cell.PeerRefusals)
                    {
                        // What was refused before the first look was the process' own test of its ports.
                        long before = refused.GetValueOrDefault((cell.Tenant, reason), count);
                        refused[(cell.Tenant, reason)] = count;
                        if (count > before)
                        {
                            auditor.PeersRefused(cell.Tenant, reason.Label(), count - before, last);
                        }
                    }
                }
            }
            while (await timer.WaitForNextTickAsync(_stopping.Token));
        }
        catch (OperationCanceledException)
        {
            // The coordinator stops.
        }
    }
}
