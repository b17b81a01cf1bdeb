using System.Runtime.CompilerServices;
using Lamina.Cluster.Links;

namespace Lamina.Coordinator.Api.Resumption;

/// <summary>
/// One caller's view of one kept answer, wherever it is made. Events come from here or from the coordinator that makes it; when that one is gone it is made here from then on; when
/// another takes it over, that one is read. The reader sees events in order, each once.
/// </summary>
internal sealed class KeptAnswer
{
    /// <summary>An answer that moved that often under one reader moves for no good reason.</summary>
    private const int MaxMoves = 8;

    private readonly TenantGenerations _generations;
    private readonly Caller _caller;
    private readonly Func<Caller, MirroredAnswer, CancellationToken, Task<RetainedGeneration?>> _takeOver;
    private MirroredAnswer? _elsewhere;

    public KeptAnswer(TenantGenerations generations, Caller caller, RetainedGeneration own, Func<Caller, MirroredAnswer, CancellationToken, Task<RetainedGeneration?>> takeOver)
    {
        (_generations, _caller, Own, _takeOver) = (generations, caller, own, takeOver);
        (Id, Stream, Typed, Seed, User) = (own.Id, own.Stream, own.Typed, own.Seed, own.User);
    }

    public KeptAnswer(TenantGenerations generations, Caller caller, MirroredAnswer elsewhere, Func<Caller, MirroredAnswer, CancellationToken, Task<RetainedGeneration?>> takeOver)
    {
        (_generations, _caller, _elsewhere, _takeOver) = (generations, caller, elsewhere, takeOver);
        (Id, Stream, Typed, Seed, User) = (elsewhere.Request.Id, elsewhere.Request.Stream, elsewhere.Request.Typed, elsewhere.Request.Seed, elsewhere.Request.User);
    }

    public string Id { get; }

    public bool Stream { get; }

    public bool Typed { get; }

    public ulong Seed { get; }

    public string? User { get; }

    /// <summary>The answer while it is made here; null while it is read from another coordinator, which counts what is read there.</summary>
    public RetainedGeneration? Own { get; private set; }

    /// <summary>The events after a number. Throws <see cref="ApiException"/> when the answer failed or is known no more.</summary>
    public async IAsyncEnumerable<NumberedEvent> ReadAsync(long after, [EnumeratorCancellation] CancellationToken cancellation)
    {
        for (int moves = 0; ; moves++)
        {
            bool over = false;
            await using IAsyncEnumerator<NumberedEvent> events = Open(after, cancellation).GetAsyncEnumerator(cancellation);
            while (!over)
            {
                try
                {
                    if (!await events.MoveNextAsync())
                    {
                        yield break;
                    }
                }
                catch (ApiException e) when (moves < MaxMoves && (e.Error.Code == ApiError.MovedCode || (Own is null && e.Error.Code == ApiError.GenerationNotFound().Code)))
                {
                    over = true;
                }
                catch (LinkClosedException)
                {
                    over = true;
                }

                if (!over)
                {
                    after = events.Current.Number;
                    yield return events.Current;
                }
            }

            await MoveAsync(cancellation);
        }
    }

    private IAsyncEnumerable<NumberedEvent> Open(long after, CancellationToken cancellation) =>
        Own is { } own ? own.ReadAsync(after, cancellation) : ReadElsewhere(_elsewhere!, after, cancellation);

    private async IAsyncEnumerable<NumberedEvent> ReadElsewhere(MirroredAnswer answer, long after, [EnumeratorCancellation] CancellationToken cancellation)
    {
        await foreach (NumberedEvent next in _generations.Mirror!.ReadAsync(answer, after, cancellation))
        {
            yield return next;
        }
    }

    /// <summary>Finds where the answer is made now; here, when whoever made it is gone.</summary>
    private async Task MoveAsync(CancellationToken cancellation)
    {
        MirroredAnswer? lost = Own is null ? _elsewhere : null;
        Own = _generations.TryFind(_caller, Id);
        _elsewhere = Own is null ? _generations.Mirror?.Others.Find(_caller, Id) : null;
        if (_elsewhere is not null && _elsewhere == lost)
        {
            Own = await _takeOver(_caller, lost, cancellation);
        }

        if (Own is null && (_elsewhere is null || _elsewhere == lost))
        {
            throw ApiError.GenerationNotFound().AsException();
        }
    }
}
