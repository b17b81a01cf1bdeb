using Lamina.Cluster.Messages;
using Lamina.Compute.Model;
using Lamina.Node.Scheduling;

namespace Lamina.Node.Pipeline;

/// <summary>
/// A small whole model beside a pipeline's head that guesses, greedily, what the large one will say (speculative decoding: Leviathan et al. 2023; here the large model's own
/// sampling decides, so that its answer stays the same). Keeps a cache for a few sequences at a time; one thread, the head's.
/// </summary>
internal sealed class DraftModel : IDrafter, IDisposable
{
    /// <summary>Rows of a history computed in one step: a long prompt is caught up with over several, and nothing is guessed meanwhile.</summary>
    private const int CatchUpRows = 256;

    private readonly Stage _stage;
    private readonly StepBatch _batch = new(CatchUpRows);
    private readonly Stack<int> _freeBlocks;
    private readonly Seat[] _seats;
    private readonly int _contextLength;

    /// <summary>Ids from here on exist in the draft model alone.</summary>
    private readonly int _vocabularySize;

    /// <param name="stage">All layers of a model, loaded with <see cref="Options"/>; owned from here on.</param>
    public DraftModel(Stage stage, int contextLength, int vocabularySize)
    {
        _stage = stage;
        _contextLength = contextLength;
        _vocabularySize = Math.Min(vocabularySize, stage.Shape.VocabularySize);
        _freeBlocks = new Stack<int>(Enumerable.Range(0, stage.Cache.BlockCount).Reverse());
        _seats = [.. Enumerable.Range(0, Scheduler.MaxGuessingSequences).Select(slot => new Seat(slot, contextLength))];
    }

    public int Patience => 3;

    public long MemoryBytes => _stage.MemoryBytes;

    /// <summary>How a draft model's stage is built beside a head planned with <paramref name="head"/>.</summary>
    public static StageOptions Options(StageOptions head) => head with
    {
        MaxBatchRows = CatchUpRows,
        MaxSequences = Scheduler.MaxGuessingSequences,
        KvBlocks = Math.Min(head.KvBlocks, StageSettings.DraftContexts * BlocksFor(head.ContextLength)),
    };

    public int Guess(int slot, ReadOnlySpan<int> tokens, Span<int> draft)
    {
        Seat? seat = Array.Find(_seats, s => s.Owner == slot) ?? Array.Find(_seats, s => s.Owner < 0);
        int room = Math.Min(draft.Length, _contextLength - tokens.Length);
        if (seat is null || room < 1 || tokens.ContainsAnyExceptInRange(0, _vocabularySize - 1) || !TryHold(seat, tokens.Length + room - 1))
        {
            return 0;
        }

        // Guesses that were wrong stand in the cache behind the last token both agree on; they are written again.
        seat.Owner = slot;
        int known = Math.Min(seat.Tokens[..seat.Count].CommonPrefixLength(tokens), tokens.Length - 1);
        int pending = tokens.Length - known;
        if (pending > CatchUpRows)
        {
            Run(seat, tokens.Slice(known, CatchUpRows), known, wantsLogits: false);
            return 0;
        }

        Run(seat, tokens[known..], known, wantsLogits: true);
        for (int i = 0; i < room; i++)
        {
            draft[i] = IndexOfMax(_stage.Logits(0)[.._vocabularySize]);
            if (i + 1 < room)
            {
                Run(seat, draft.Slice(i, 1), tokens.Length + i, wantsLogits: true);
            }
        }

        return room;
    }

    /// <summary>Guesses once, of no consequence, so that the first generation does not wait for the kernels to be compiled.</summary>
    public void WarmUp()
    {
        int length = Math.Min(KvCache.BlockPositions, _contextLength - 1);
        Span<int> draft = stackalloc int[2];
        Guess(0, new int[length], draft);
        Release(0);
    }

    public void Release(int slot)
    {
        if (Array.Find(_seats, s => s.Owner == slot) is not { } seat)
        {
            return;
        }

        foreach (int block in seat.Blocks)
        {
            _stage.Cache.ClearBlocks([block]);
            _freeBlocks.Push(block);
        }

        _stage.Cache.Release(seat.Slot);
        seat.Clear();
    }

    public void Dispose()
    {
        foreach (Seat seat in _seats)
        {
            seat.Clear();
        }

        _batch.Clear();
        _stage.Dispose();
    }

    /// <summary>Computes rows of consecutive positions; the last gives logits where they are wanted.</summary>
    private void Run(Seat seat, ReadOnlySpan<int> tokens, int position, bool wantsLogits)
    {
        _batch.Clear();
        for (int i = 0; i < tokens.Length; i++)
        {
            _batch.Add(tokens[i], position + i, seat.Slot, wantsLogits && i == tokens.Length - 1);
        }

        _stage.Forward(_batch, [], []);
        tokens.CopyTo(seat.Tokens[position..]);
        seat.Count = position + tokens.Length;
    }

    private bool TryHold(Seat seat, int positions)
    {
        while (seat.Blocks.Count * KvCache.BlockPositions < positions)
        {
            if (!_freeBlocks.TryPop(out int block))
            {
                return false;
            }

            seat.Blocks.Add(block);
            _stage.Cache.Append(seat.Slot, [block]);
        }

        return true;
    }

    private static int IndexOfMax(ReadOnlySpan<float> logits)
    {
        int best = 0;
        for (int i = 1; i < logits.Length; i++)
        {
            best = logits[i] > logits[best] ? i : best;
        }

        return best;
    }

    private static int BlocksFor(int positions) => (positions + KvCache.BlockPositions - 1) / KvCache.BlockPositions;

    /// <summary>One sequence's place in the cache, and the tokens whose keys and values stand there.</summary>
    private sealed class Seat(int slot, int contextLength)
    {
        private readonly int[] _tokens = UnmovedArray.New<int>(contextLength);

        public int Slot { get; } = slot;

        /// <summary>The scheduler's slot; -1 while free.</summary>
        public int Owner { get; set; } = -1;

        public int Count { get; set; }
        public List<int> Blocks { get; } = [];
        public Span<int> Tokens => _tokens;

        public void Clear()
        {
            Array.Clear(_tokens);
            Blocks.Clear();
            Count = 0;
            Owner = -1;
        }
    }
}
