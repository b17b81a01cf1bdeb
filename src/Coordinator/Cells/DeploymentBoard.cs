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

    /// <param name="Prepared">Models that may take the place of the one that callers get.</param>
    private sealed record Entry(DeploymentView View, bool Accepting, ServedModel? Model, ImmutableList<ServedModel> Prepared);

    public IReadOnlyList<DeploymentView> Deployments => [.. Volatile.Read(ref _entries).Values.Select(entry => entry.View)];

    public IReadOnlyList<NodeView> Nodes => _nodes;

    public ServedModel? FindModel(string deployment) => Volatile.Read(ref _entries).GetValueOrDefault(deployment)?.Model;

    /// <summary>True once a deployment has served: after a loss, generations wait for it.</summary>
    public bool IsAccepting(string deployment) => Volatile.Read(ref _entries).GetValueOrDefault(deployment)?.Accepting ?? false;

    public void Show(DeploymentView view, bool accepting) =>
        Change(() => _entries = _entries.SetItem(view.Name, new Entry(view, accepting, _entries.GetValueOrDefault(view.Name)?.Model, _entries.GetValueOrDefault(view.Name)?.Prepared ?? [])));

    public void SetModel(string deployment, ServedModel model) =>
        Change(() => _entries = _entries.SetItem(deployment, _entries[deployment] with { Model = model }));

    /// <summary>The deployment's model of that digest: what callers get, or what may take its place.</summary>
    public ServedModel? FindModel(string deployment, string digest) =>
        Volatile.Read(ref _entries).GetValueOrDefault(deployment) is { } entry ? entry.Prepared.Append(entry.Model).FirstOrDefault(model => model?.Stored.Digest.ToString() == digest) : null;

    /// <summary>Keeps a model until a pipeline of it serves.</summary>
    public void Prepare(string deployment, ServedModel model) =>
        Change(() => _entries = _entries.SetItem(deployment, _entries[deployment] with { Prepared = _entries[deployment].Prepared.RemoveAll(other => other.Stored.Digest == model.Stored.Digest).Add(model) }));

    /// <summary>From now on callers get the prepared model of that digest, and no other is kept; without one nothing changes.</summary>
    public void Use(string deployment, string digest) => Change(() =>
    {
        if (_entries.GetValueOrDefault(deployment) is { } entry && entry.Prepared.Find(model => model.Stored.Digest.ToString() == digest) is { } prepared)
        {
            _entries = _entries.SetItem(deployment, entry with { Model = prepared, Prepared = [] });
        }
    });

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
