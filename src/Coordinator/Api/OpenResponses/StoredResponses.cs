using System.Collections.Concurrent;
using System.Text.Json.Nodes;
using Lamina.Coordinator.Api.Requests;
using Lamina.Coordinator.Api.Resumption;

namespace Lamina.Coordinator.Api.OpenResponses;

/// <summary>A finished response with what a later one needs to go on after it.</summary>
/// <param name="Messages">The conversation up to and with the response, without instructions.</param>
/// <param name="Json">The response as it was answered.</param>
internal sealed record StoredResponse(string Id, Caller Owner, byte[] Json, IReadOnlyList<JsonObject> Input, IReadOnlyList<ChatMessage> Messages, long Stored)
{
    /// <summary>Characters take two bytes, and everything has its overhead.</summary>
    public int Bytes { get; } = (int)Math.Min(int.MaxValue, Json.Length + Input.Sum(item => (long)item.ToJsonString().Length * 2) + Messages.Sum(message => (message.Length * 2) + 256));
}

/// <summary>One tenant's stored responses. They share the memory of its kept generations and live as long; whoever did not make one does not find it.</summary>
internal sealed class StoredResponses(JournalBudget budget, TimeSpan retention, TimeProvider time)
{
    private readonly ConcurrentDictionary<string, StoredResponse> _byId = new(StringComparer.Ordinal);

    /// <summary>Keeps a response, unless there is no memory left that could be freed for it.</summary>
    public void Add(string id, Caller owner, byte[] json, IReadOnlyList<JsonObject> input, IReadOnlyList<ChatMessage> messages)
    {
        var stored = new StoredResponse(id, owner, json, input, messages, time.GetTimestamp());
        if (budget.TryTake(stored.Bytes, always: false))
        {
            _byId[id] = stored;
        }
    }

    /// <summary>Throws <see cref="ApiException"/> when there is none that the caller may see.</summary>
    public StoredResponse Find(Caller caller, string id, string? param = null)
    {
        Sweep();
        return _byId.TryGetValue(id, out StoredResponse? stored) && stored.Owner == caller ? stored : throw ApiError.ResponseNotFound(param).AsException();
    }

    public void Remove(StoredResponse stored)
    {
        if (_byId.TryRemove(KeyValuePair.Create(stored.Id, stored)))
        {
            budget.Return(stored.Bytes);
        }
    }

    public void Sweep() => RemoveWhere(stored => time.GetElapsedTime(stored.Stored) >= retention);

    public void RemoveWhere(Func<StoredResponse, bool> wanted)
    {
        foreach (StoredResponse stored in _byId.Values.Where(wanted))
        {
            Remove(stored);
        }
    }

    /// <summary>False when there is none.</summary>
    public bool EvictOldest()
    {
        StoredResponse? oldest = _byId.Values.MinBy(stored => stored.Stored);
        if (oldest is not null)
        {
            Remove(oldest);
        }

        return oldest is not null;
    }
}
