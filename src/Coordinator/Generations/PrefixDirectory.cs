using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Security.Cryptography;

namespace Lamina.Coordinator.Generations;

/// <summary>
/// Which pipeline computed which beginnings of prompts, by whole blocks of tokens: there they may still lie in the prefix cache. A guess, never more; what is remembered are
/// keyed hashes. Bounded: the older half goes when it is full. Not thread-safe.
/// </summary>
internal sealed class PrefixDirectory<TPlace>(int capacity)
    where TPlace : class
{
    /// <summary>Tokens of a block; the cache shares blocks of that size or a divisor.</summary>
    public const int BlockTokens = 64;

    private const int MaxBlocks = 64;

    private readonly byte[] _key = RandomNumberGenerator.GetBytes(32);
    private Dictionary<ulong, TPlace> _recent = [];
    private Dictionary<ulong, TPlace> _older = [];

    /// <summary>The place that computed the longest beginning and still counts; null when none did.</summary>
    public TPlace? Find(ReadOnlySpan<int> prompt, Func<TPlace, bool> counts)
    {
        TPlace? found = null;
        ulong hash = 0;
        for (int block = 0; block < Blocks(prompt); block++)
        {
            hash = Next(hash, prompt.Slice(block * BlockTokens, BlockTokens));
            if ((_recent.TryGetValue(hash, out TPlace? place) || _older.TryGetValue(hash, out place)) && counts(place))
            {
                found = place;
            }
        }

        return found;
    }

    public void Remember(ReadOnlySpan<int> prompt, TPlace place)
    {
        ulong hash = 0;
        for (int block = 0; block < Blocks(prompt); block++)
        {
            hash = Next(hash, prompt.Slice(block * BlockTokens, BlockTokens));
            _recent[hash] = place;
        }

        if (_recent.Count > capacity / 2)
        {
            (_older, _recent) = (_recent, []);
        }
    }

    private static int Blocks(ReadOnlySpan<int> prompt) => Math.Min(prompt.Length / BlockTokens, MaxBlocks);

    private ulong Next(ulong before, ReadOnlySpan<int> tokens)
    {
        Span<byte> source = stackalloc byte[sizeof(ulong) + (BlockTokens * sizeof(int))];
        Span<byte> hash = stackalloc byte[HMACSHA256.HashSizeInBytes];
        BinaryPrimitives.WriteUInt64LittleEndian(source, before);
        MemoryMarshal.AsBytes(tokens).CopyTo(source[sizeof(ulong)..]);
        HMACSHA256.HashData(_key, source, hash);
        CryptographicOperations.ZeroMemory(source);
        return BinaryPrimitives.ReadUInt64LittleEndian(hash);
    }
}
