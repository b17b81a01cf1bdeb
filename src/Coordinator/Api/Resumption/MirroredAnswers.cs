using System.Security.Cryptography;
using Lamina.Cluster.Messages;

namespace Lamina.Coordinator.Api.Resumption;

/// <summary>An answer that another coordinator makes, as far as it is known here.</summary>
internal sealed class MirroredAnswer(MirrorProtocol.KeepAnswer request, string holder, object source)
{
    public MirrorProtocol.KeepAnswer Request => request;

    /// <summary>Name of the coordinator that makes it.</summary>
    public string Holder => holder;

    /// <summary>The link that keeps it up to date; nothing else may.</summary>
    public object Source => source;

    public AnswerCourse Course { get; } = new();

    public byte[] RequestHash { get; } = Responder.Hash(request.Route, request.Body);

    /// <summary>Stamp of the moment when its holder fell silent; null while it is heard.</summary>
    public long? LostAt { get; set; }

    /// <summary>Bytes that it takes of the budget.</summary>
    public long Cost { get; set; } = request.Body.Length + Overhead;

    private const int Overhead = 1024;
}

/// <summary>
/// One tenant's answers that other coordinators make: by request and tokens, so that each can be gone on with here. Bounded by the same number of bytes as the answers of
/// this coordinator; beyond it, those whose holder fell silent longest ago go first, then nothing more is taken. Thread-safe.
/// </summary>
internal sealed class MirroredAnswers(ResumptionOptions options, TimeProvider time)
{
    private const int MaxChoices = 1024;

    private readonly Lock _lock = new();
    private readonly Dictionary<string, MirroredAnswer> _byId = new(StringComparer.Ordinal);
    private readonly Dictionary<(string? Key, string RepeatKey), MirroredAnswer> _byKey = [];
    private long _bytes;

    public long Bytes => Interlocked.Read(ref _bytes);

    /// <summary>False when there is no room, or when another coordinator makes it by a later term.</summary>
    public bool Keep(string holder, object source, MirrorProtocol.KeepAnswer request)
    {
        lock (_lock)
        {
            Sweep();
            if (_byId.TryGetValue(request.Id, out MirroredAnswer? known) && !Precedes(request.Term, holder, known.Request.Term, known.Holder) && known.Holder != holder)
            {
                return false;
            }

            Remove(request.Id);
            var answer = new MirroredAnswer(request, holder, source);
            if (!MakeRoom(answer.Cost))
            {
                return false;
            }

            _byId[request.Id] = answer;
            _byKey[(request.Key, request.RepeatKey)] = answer;
            _bytes += answer.Cost;
            return true;
        }
    }

    /// <summary>Of two that make an answer, who goes on: the later term, then the name that comes first.</summary>
    public static bool Precedes(int term, string name, int otherTerm, string otherName) =>
        term != otherTerm ? term > otherTerm : string.CompareOrdinal(name, otherName) < 0;

    /// <summary>What does not follow on what is known is left out: it is computed again.</summary>
    public void Add(object source, MirrorProtocol.AnswerProgress progress)
    {
        lock (_lock)
        {
            if (!_byId.TryGetValue(progress.Id, out MirroredAnswer? answer) || answer.Source != source || progress.Choice is < 0 or >= MaxChoices
                || progress.First != answer.Course.CountOf(progress.Choice))
            {
                return;
            }

            long cost = (long)progress.Tokens.Length * sizeof(int);
            if (MakeRoom(cost, answer))
            {
                answer.Course.Append(progress.Choice, progress.Tokens);
                answer.Cost += cost;
                _bytes += cost;
            }
        }
    }

    public void Release(object source, string id)
    {
        lock (_lock)
        {
            if (_byId.TryGetValue(id, out MirroredAnswer? answer) && answer.Source == source)
            {
                Remove(id);
            }
        }
    }

    /// <summary>A holder fell silent: what it made can be gone on with until the time to come back for it is over.</summary>
    public void Lose(object source)
    {
        lock (_lock)
        {
            foreach (MirroredAnswer answer in _byId.Values.Where(answer => answer.Source == source && answer.LostAt is null))
            {
                answer.LostAt = time.GetTimestamp();
            }
        }
    }

    /// <summary>The caller's answer of that id; null when there is none.</summary>
    public MirroredAnswer? Find(Caller caller, string id)
    {
        lock (_lock)
        {
            Sweep();
            return _byId.TryGetValue(id, out MirroredAnswer? answer) && answer.Request.Key == caller.Key ? answer : null;
        }
    }

    /// <summary>The caller's answer under its own key; null when there is none.</summary>
    public MirroredAnswer? FindRepeated(Caller caller, string repeatKey)
    {
        lock (_lock)
        {
            Sweep();
            return _byKey.GetValueOrDefault((caller.Key, repeatKey));
        }
    }

    /// <summary>What going on with an answer takes; null when it is known no more.</summary>
    public KeptRequest? Continue(MirroredAnswer answer)
    {
        lock (_lock)
        {
            return _byId.GetValueOrDefault(answer.Request.Id) != answer ? null
                : new KeptRequest(answer.Request.Route, answer.Request.Body.ToArray(), answer.Course.Copy(), answer.Request.Term + 1, Guid.ParseExact(answer.Request.Usage, "n"), answer.Request.Model);
        }
    }

    public void Drop(string id)
    {
        lock (_lock)
        {
            Remove(id);
        }
    }

    /// <summary>Forgets what a key started.</summary>
    public void DropOf(string key)
    {
        lock (_lock)
        {
            foreach (string id in _byId.Values.Where(answer => answer.Request.Key == key).Select(answer => answer.Request.Id).ToArray())
            {
                Remove(id);
            }
        }
    }

    private void Sweep()
    {
        var patience = TimeSpan.FromSeconds(options.RetentionSeconds + options.GraceSeconds);
        foreach (string id in _byId.Values.Where(answer => answer.LostAt is { } stamp && time.GetElapsedTime(stamp) > patience).Select(answer => answer.Request.Id).ToArray())
        {
            Remove(id);
        }
    }

    private bool MakeRoom(long bytes, MirroredAnswer? except = null)
    {
        while (_bytes + bytes > options.BytesPerTenant)
        {
            if (_byId.Values.Where(answer => answer.LostAt is not null && answer != except).MinBy(answer => answer.LostAt) is not { } oldest)
            {
                return false;
            }

            Remove(oldest.Request.Id);
        }

        return true;
    }

    private void Remove(string id)
    {
        if (_byId.Remove(id, out MirroredAnswer? answer))
        {
            _byKey.Remove((answer.Request.Key, answer.Request.RepeatKey));
            _bytes -= answer.Cost;
            answer.Course.Clear();
            CryptographicOperations.ZeroMemory(answer.Request.Body);
        }
    }
}
