using System.Collections.Immutable;
using Lamina.Coordinator.Models;

namespace Lamina.Coordinator.Cells;

/// <summary>What the rest of the process sees of a cell: actors write it, requests read it without asking an actor. Thread-safe.</summary>
internal sealed class DeploymentBoard
{
    private readonly Lock _lock = new();
    private ImmutableSortedDictionary<string, Entry> _entries = ImmutableSortedDictionary.Create<string, Entry>(StringComparer.Ordinal);
    private ImmutableArray<NodeView> _nodes = [];
    private TaskCompletionSource _changed = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private string? _closedReason;

    private sealed record Entry(DeploymentView View, bool Accepting, ServedModel? Model);

    public IReadOnlyList<DeploymentView> Deployments => [.. Volatile.Read(ref _entries).Values.Select(entry => entry.View)];

    public IReadOnlyList<NodeView> Nodes => _nodes;

    public ServedModel? FindModel(string deployment) => Volatile.Read(ref _entries).GetValueOrDefault(deployment)?.Model;

    /// <summary>True once a deployment has served: after a loss, generations wait for it.</summary>
    public bool IsAccepting(string deployment) => Volatile.Read(ref _entries).GetValueOrDefault(deployment)?.Accepting ?? false;

    public void Show(DeploymentView view, bool accepting) =>
        Change(() => _entries = _entries.SetItem(view.Name, new Entry(view, accepting, _entries.GetValueOrDefault(view.Name)?.Model)));

    public void SetModel(string deployment, ServedModel model) =>
        Change(() => _entries = _entries.SetItem(deployment, _entries[deployment] with { Model = model }));

    public void SetNodes(IEnumerable<NodeView> nodes) => Change(() => _nodes = [.. nodes]);

    /// <summary>Ends all waits with the reason.</summary>
    public void Close(string reason) => Change(() => _closedReason = reason);

    public async Task<DeploymentView> WaitReadyAsync(string deployment, IProgress<DeploymentView>? progress, CancellationToken cancellation)
    {
        DeploymentView? shown = null;
        while (true)
        {
            Task changed;
            DeploymentView? view;
            lock (_lock)
            {
                if (_closedReason is not null)
                {
                    throw new InvalidOperationException(_closedReason);
                }

                changed = _changed.Task;
                view = _entries.GetValueOrDefault(deployment)?.View;
            }

            if (view is null)
            {
                throw new InvalidOperationException($"there is no deployment named {deployment}");
            }

            if (!ReferenceEquals(view, shown))
            {
                progress?.Report(view);
                shown = view;
            }

            switch (view.Phase)
            {
                case DeploymentPhase.Ready:
                    return view;
                case DeploymentPhase.Failed:
                    throw new InvalidOperationException($"model {deployment} cannot be served: {view.Problem}");
            }

            await changed.WaitAsync(cancellation);
        }
    }

    private void Change(Action change)
    {
        lock (_lock)
        {
            change();
            _changed.TrySetResult();
            _changed = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        }
    }
}
