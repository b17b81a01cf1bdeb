using System.Collections.Concurrent;
using Lamina.Cluster.Messages;
using Lamina.Coordinator.Api;

namespace Lamina.Coordinator.Quotas;

/// <summary>All answers that are being made in this process, and what is suspended: the first must not need the second.</summary>
internal sealed class RunningAnswers
{
    private readonly ConcurrentDictionary<MeteredAnswer, bool> _answers = new();
    private readonly ConcurrentDictionary<TenantId, int> _counts = new();
    private volatile SuspensionList _suspensions = SuspensionList.Empty;

    public SuspensionList Suspensions => _suspensions;

    public IEnumerable<MeteredAnswer> All => _answers.Keys;

    public void Add(MeteredAnswer answer)
    {
        _answers[answer] = true;
        _counts.AddOrUpdate(answer.Caller.Tenant, 1, (_, count) => count + 1);
        if (IsSuspended(answer))
        {
            answer.Suspend();
        }
    }

    public void Remove(MeteredAnswer answer)
    {
        if (_answers.TryRemove(answer, out _))
        {
            _counts.AddOrUpdate(answer.Caller.Tenant, 0, (_, count) => count - 1);
        }
    }

    public int CountOf(TenantId tenant) => _counts.GetValueOrDefault(tenant);

    /// <summary>Takes over a new list and ends what it hits. Returns how many answers that were.</summary>
    public int Change(SuspensionList suspensions)
    {
        _suspensions = suspensions;
        MeteredAnswer[] hit = [.. _answers.Keys.Where(IsSuspended)];
        foreach (MeteredAnswer answer in hit)
        {
            answer.Suspend();
        }

        return hit.Length;
    }

    /// <summary>Throws <see cref="ApiException"/> when something that the request needs is suspended.</summary>
    /// <param name="modelDigest">Null when the model is not known yet.</param>
    public void RequireNotSuspended(Caller caller, string? modelDigest)
    {
        if (_suspensions.Of(caller.Tenant, caller.Key, modelDigest) is { } suspension)
        {
            throw ApiError.Suspended(suspension.Kind.ToString().ToLowerInvariant()).AsException();
        }
    }

    /// <summary>Why the answer may not go on.</summary>
    public ApiError? ErrorOf(MeteredAnswer answer) =>
        _suspensions.Of(answer.Caller.Tenant, answer.Caller.Key, answer.Meter.Digest) is { } suspension ? ApiError.Suspended(suspension.Kind.ToString().ToLowerInvariant()) : null;

    private bool IsSuspended(MeteredAnswer answer) => _suspensions.Of(answer.Caller.Tenant, answer.Caller.Key, answer.Meter.Digest) is not null;
}
