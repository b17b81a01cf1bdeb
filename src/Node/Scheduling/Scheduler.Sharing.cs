using System.Runtime.InteropServices;
using Lamina.Compute.Model;

namespace Lamina.Node.Scheduling;

internal sealed partial class Scheduler
{
    /// <summary>Positions worth the copy of a block, or a step's wait for another sequence to compute them.</summary>
    private const int WorthSharing = 8;

    /// <summary>
    /// What a sequence need not compute: blocks that it shares from its first position on, as many positions as they hold of it, and of the last one perhaps a copy. From the prefix cache,
    /// or from a running sequence that begins alike, whose blocks may not be full yet.
    /// </summary>
    /// <returns>False when a running sequence is computing more of the same just now.</returns>
    private bool TryFindShared(Sequence sequence, out int positions, out int copied)
    {
        // The last known token is always computed: its logits choose the next one.
        ReadOnlySpan<int> tokens = sequence.Tokens[..^1];
        _found.Clear();
        if (!sequence.Pool)
        {
            // An embedding is made of all rows.
            _cache?.Find(tokens, _found, sequence.CacheRoot);
        }

        positions = _found.Count * KvCache.BlockPositions;
        copied = -1;
        if (_cache is null || sequence.Pool)
        {
            return true;
        }

        Sequence? nearest = null;
        int alike = 0;
        for (int i = 0; i < _running.Count; i++)
        {
            int common = _running[i].CacheRoot == sequence.CacheRoot ? tokens.CommonPrefixLength(_running[i].Tokens) : 0;
            if (common > alike)
            {
                (alike, nearest) = (common, _running[i]);
            }
        }

        if (nearest is null)
        {
            return true;
        }

        int computed = Math.Min(alike, nearest.Planned);
        if (alike - Math.Max(computed, positions) >= WorthSharing)
        {
            return false;
        }

        if (computed >= positions + WorthSharing)
        {
            int whole = computed / KvCache.BlockPositions;
            _found.Clear();
            _found.AddRange(CollectionsMarshal.AsSpan(nearest.Blocks)[..whole]);
            bool copies = computed % KvCache.BlockPositions >= WorthSharing;
            copied = copies ? nearest.Blocks[whole] : -1;
            positions = copies ? computed : whole * KvCache.BlockPositions;
        }

        return true;
    }
}
