using System.Runtime.InteropServices;

namespace Lamina.Node.Pipeline;

/// <summary>Walks operation words. Lengths are checked against the words left; slots, blocks and tokens are the executor's to check.</summary>
internal ref struct OperationReader(ReadOnlySpan<int> words)
{
    private ReadOnlySpan<int> _left = words;

    public OperationCode Code { get; private set; }

    /// <summary>The slot of Release, Open, Append and Adapt.</summary>
    public int Slot { get; private set; }

    public int Source { get; private set; }
    public int Destination { get; private set; }

    /// <summary>The blocks of Clear and Append.</summary>
    public ReadOnlySpan<int> Blocks { get; private set; }

    /// <summary>The pairs of Adapt: an adapter's number, the bits of its scale.</summary>
    public ReadOnlySpan<int> Adapters { get; private set; }

    /// <summary>The history of Open.</summary>
    public ReadOnlySpan<int> Tokens { get; private set; }

    /// <summary>The sampling settings of Open in their wire form.</summary>
    public ReadOnlySpan<byte> Settings { get; private set; }

    /// <summary>False at the end. Throws <see cref="InvalidDataException"/> for an unknown operation or one that does not fit.</summary>
    public bool MoveNext()
    {
        if (_left.IsEmpty)
        {
            return false;
        }

        Code = (OperationCode)Next();
        switch (Code)
        {
            case OperationCode.Release:
                Slot = Next();
                break;
            case OperationCode.Clear:
                Blocks = Next(Next());
                break;
            case OperationCode.Copy:
                Source = Next();
                Destination = Next();
                break;
            case OperationCode.Open:
                Slot = Next();
                int tokens = Next();
                int settingsBytes = Next();
                Tokens = Next(tokens);
                Settings = MemoryMarshal.AsBytes(Next(settingsBytes < 0 ? -1 : (int)(((long)settingsBytes + 3) / 4)))[..settingsBytes];
                break;
            case OperationCode.Append:
                Slot = Next();
                Blocks = Next(Next());
                break;
            case OperationCode.Adapt:
                Slot = Next();
                Adapters = Next(Next());
                break;
            default:
                throw new InvalidDataException($"step holds an unknown cache operation {(int)Code}");
        }

        return true;
    }

    private int Next() => Next(1)[0];

    private ReadOnlySpan<int> Next(int count)
    {
        if ((uint)count > (uint)_left.Length)
        {
            throw new InvalidDataException($"a cache operation of {count} more words does not fit the {_left.Length} left");
        }

        ReadOnlySpan<int> taken = _left[..count];
        _left = _left[count..];
        return taken;
    }
}
