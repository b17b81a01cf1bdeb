using System.Runtime.InteropServices;
using System.Security.Cryptography;
using Lamina.Compute.Model;
using Lamina.Compute.Model.Adapters;

namespace Lamina.Node.Scheduling;

/// <summary>
/// Full blocks by what they hold: found by an HMAC chain over the tokens under a secret of this process, believed only after comparing the tokens themselves and the
/// block they follow. Nothing that a caller sends can name an entry.
/// </summary>
internal sealed class PrefixCache
{
    private readonly byte[] _secret = RandomNumberGenerator.GetBytes(32);
    private readonly Dictionary<UInt128, Entry> _byKey = [];
    private readonly Entry?[] _byBlock;
    private readonly LinkedList<Entry> _idle = [];
    private long _serials;

    private readonly int _keyBits;

    /// <param name="keyBits">Bits of a key that count; fewer than all only to try collisions.</param>
    public PrefixCache(int blocks, int keyBits = 128)
    {
        _byBlock = new Entry?[blocks];
        _keyBits = keyBits;
    }

    /// <summary>Entries that no sequence holds, evictable.</summary>
    public int IdleCount => _idle.Count;

    /// <summary>Appends the blocks that hold the beginning of <paramref name="tokens"/>, as many whole ones as are known.</summary>
    /// <param name="root">As <see cref="RootOf"/> gives it.</param>
    public void Find(ReadOnlySpan<int> tokens, List<int> blocks, long root = 0)
    {
        Entry? parent = null;
        while (tokens.Length >= KvCache.BlockPositions && Lookup(parent?.Serial ?? root, tokens[..KvCache.BlockPositions]) is { } entry)
        {
            blocks.Add(entry.Block);
            tokens = tokens[KvCache.BlockPositions..];
            parent = entry;
        }
    }

    /// <summary>
    /// Enters a full block that follows <paramref name="parentBlock"/> (-1 = begins a sequence). Does nothing when its parent is not entered or another block holds the same.
    /// </summary>
    /// <returns>Whether a later block of the same sequence may be offered with this one as its parent.</returns>
    public bool Offer(int block, int parentBlock, ReadOnlySpan<int> tokens, long root = 0)
    {
        Entry? parent = parentBlock < 0 ? null : _byBlock[parentBlock];
        if (parentBlock >= 0 && parent is null)
        {
            return false;
        }

        if (_byBlock[block] is not null)
        {
            return true;
        }

        long parentSerial = parent?.Serial ?? root;
        UInt128 key = Key(parentSerial, tokens);
        if (_byKey.ContainsKey(key))
        {
            return false;
        }

        var entry = new Entry(key, block, ++_serials, parentSerial, UnmovedArray.Of(tokens));
        _byKey.Add(key, entry);
        _byBlock[block] = entry;
        return true;
    }

    /// <summary>What a block was entered with; nothing while it is no entry.</summary>
    public ReadOnlyMemory<int> TokensOf(int block) => _byBlock[block]?.Tokens;

    /// <summary>A block has lost its last holder: true when the cache keeps it.</summary>
    public bool TryKeep(int block)
    {
        if (_byBlock[block] is not { } entry)
        {
            return false;
        }

        _idle.AddLast(entry.Node);
        return true;
    }

    /// <summary>An idle block has a holder again.</summary>
    public void Use(int block) => _idle.Remove(_byBlock[block]!.Node);

    /// <summary>Gives up the block that has been idle longest.</summary>
    public bool TryEvict(out int block)
    {
        if (_idle.First is not { } node)
        {
            block = -1;
            return false;
        }

        Entry entry = node.Value;
        block = entry.Block;
        _idle.Remove(node);
        _byKey.Remove(entry.Key);
        _byBlock[block] = null;
        Array.Clear(entry.Tokens);
        return true;
    }

    /// <summary>Forgets every entry and overwrites its tokens; blocks that sequences hold are no entries any more.</summary>
    public void Clear()
    {
        foreach (Entry entry in _byKey.Values)
        {
            Array.Clear(entry.Tokens);
        }

        _byKey.Clear();
        _idle.Clear();
        Array.Clear(_byBlock);
    }

    /// <summary>What sequences with these adapters, or of this lane, begin with in place of 0, so that they find their own blocks alone; never the serial of a block.</summary>
    /// <param name="lane">Null where lanes share.</param>
    public long RootOf(ReadOnlySpan<AdapterUse> adapters, ulong? lane = null)
    {
        if (adapters.IsEmpty && lane is null)
        {
            return 0;
        }

        Span<byte> text = stackalloc byte[HMACSHA256.HashSizeInBytes + sizeof(ulong)];
        Span<byte> mac = text[..HMACSHA256.HashSizeInBytes];
        HMACSHA256.HashData(_secret, MemoryMarshal.AsBytes(adapters), mac);
        if (lane is { } own)
        {
            MemoryMarshal.Write(text[HMACSHA256.HashSizeInBytes..], own);
            HMACSHA256.HashData(_secret, text, mac);
        }

        return MemoryMarshal.Read<long>(mac) | long.MinValue;
    }

    private Entry? Lookup(long parentSerial, ReadOnlySpan<int> tokens) =>
        _byKey.TryGetValue(Key(parentSerial, tokens), out Entry? entry) && entry.ParentSerial == parentSerial && tokens.SequenceEqual(entry.Tokens) ? entry : null;

    private UInt128 Key(long parentSerial, ReadOnlySpan<int> tokens)
    {
        Span<byte> text = stackalloc byte[8 + (KvCache.BlockPositions * sizeof(int))];
        Span<byte> mac = stackalloc byte[HMACSHA256.HashSizeInBytes];
        MemoryMarshal.Write(text, parentSerial);
        MemoryMarshal.AsBytes(tokens).CopyTo(text[8..]);
        HMACSHA256.HashData(_secret, text, mac);
        CryptographicOperations.ZeroMemory(text);
        return MemoryMarshal.Read<UInt128>(mac) >> (128 - _keyBits);
    }

    private sealed class Entry
    {
        public Entry(UInt128 key, int block, long serial, long parentSerial, int[] tokens)
        {
            (Key, Block, Serial, ParentSerial, Tokens) = (key, block, serial, parentSerial, tokens);
            Node = new LinkedListNode<Entry>(this);
        }

        public UInt128 Key { get; }
        public int Block { get; }

        /// <summary>Never used twice, so that a child of an evicted block is not found through its successor.</summary>
        public long Serial { get; }

        public long ParentSerial { get; }
        public int[] Tokens { get; }
        public LinkedListNode<Entry> Node { get; }
    }
}
