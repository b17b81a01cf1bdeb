namespace Lamina.Coordinator.Batches;

/// <summary>Cuts a file into lines, of which it holds one at a time.</summary>
internal sealed class LineSource(Stream content, int maxLineBytes)
{
    private byte[] _buffer = new byte[1 << 16];
    private int _start;
    private int _end;
    private bool _atEnd;

    /// <summary>Where the line that was read last begins, in bytes from the beginning.</summary>
    public long Offset { get; private set; }

    private long _position;

    /// <summary>Whether the line that was read last ends in a line end.</summary>
    public bool IsTerminated { get; private set; }

    /// <summary>The next line without its end, valid until the next call; null at the end of the file. Throws <see cref="InvalidDataException"/> when it is too long.</summary>
    public async ValueTask<ReadOnlyMemory<byte>?> NextAsync(CancellationToken cancellation)
    {
        int searched = _start;
        while (true)
        {
            int end = _buffer.AsSpan(searched, _end - searched).IndexOf((byte)'\n');
            if (end >= 0 || (_atEnd && _end > _start))
            {
                int stop = end >= 0 ? searched + end : _end;
                ReadOnlyMemory<byte> line = _buffer.AsMemory(_start, stop - _start);
                IsTerminated = end >= 0;
                Offset = _position;
                _position += stop - _start + (end >= 0 ? 1 : 0);
                _start = end >= 0 ? stop + 1 : stop;
                return line.Length > 0 && line.Span[^1] == (byte)'\r' ? line[..^1] : line;
            }

            if (_atEnd)
            {
                return null;
            }

            searched = _end - _start;
            await FillAsync(cancellation);
        }
    }

    private async ValueTask FillAsync(CancellationToken cancellation)
    {
        Buffer.BlockCopy(_buffer, _start, _buffer, 0, _end - _start);
        (_start, _end) = (0, _end - _start);
        if (_end > maxLineBytes)
        {
            throw new InvalidDataException($"a line is longer than {maxLineBytes} bytes");
        }

        if (_end == _buffer.Length)
        {
            Array.Resize(ref _buffer, _buffer.Length * 2);
        }

        int read = await content.ReadAsync(_buffer.AsMemory(_end), cancellation);
        _atEnd = read == 0;
        _end += read;
    }
}
