using System.Buffers.Binary;
using MessagePack;

namespace Lamina.Cluster.Models;

/// <summary>
/// Frames on a link of purpose <c>Blobs</c>. The step field of each frame's header is the request's number, chosen by the asker; several requests may be open at a
/// time and are answered in order. A BlobChunk's payload is <see cref="ChunkHeadBytes"/> of head (offset u64, whole length u64; little-endian) and the bytes.
/// </summary>
public static class BlobProtocol
{
    /// <summary>Bytes a server puts in one chunk at most.</summary>
    public const int MaxChunkBytes = 1 << 20;

    public const int ChunkHeadBytes = 16;

    /// <summary>Requests that one asker may have open on a link.</summary>
    public const int MaxOpenRequests = 16;

    /// <summary>Of one request on the wire.</summary>
    public const int MaxRequestBytes = 1024;

    /// <param name="Digest">Canonical text of a <see cref="BlobDigest"/>.</param>
    /// <param name="Offset">First byte wanted: not 0 when a broken transfer is resumed.</param>
    /// <param name="Length">Bytes wanted, or -1 for all that follow.</param>
    [MessagePackObject]
    public sealed record BlobRequest(
        [property: Key(0)] string Digest,
        [property: Key(1)] long Offset,
        [property: Key(2)] long Length);

    /// <param name="Reason">One sentence: not held here, offset past the end, ...</param>
    [MessagePackObject]
    public sealed record BlobRefused([property: Key(0)] string Reason);

    public static void WriteChunkHead(Span<byte> head, long offset, long wholeLength)
    {
        BinaryPrimitives.WriteInt64LittleEndian(head, offset);
        BinaryPrimitives.WriteInt64LittleEndian(head[8..], wholeLength);
    }

    /// <summary>False when the payload is too short or its numbers do not fit together.</summary>
    public static bool TryReadChunk(ReadOnlySpan<byte> payload, out long offset, out long wholeLength, out ReadOnlySpan<byte> bytes)
    {
        offset = wholeLength = 0;
        bytes = default;
        if (payload.Length < ChunkHeadBytes)
        {
            return false;
        }

        offset = BinaryPrimitives.ReadInt64LittleEndian(payload);
        wholeLength = BinaryPrimitives.ReadInt64LittleEndian(payload[8..]);
        bytes = payload[ChunkHeadBytes..];
        return offset >= 0 && wholeLength >= 0 && offset <= wholeLength && bytes.Length <= wholeLength - offset;
    }
}
