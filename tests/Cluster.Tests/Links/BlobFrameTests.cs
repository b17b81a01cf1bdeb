using System.Buffers.Binary;
using Lamina.Cluster.Links;
using Lamina.Cluster.Messages;
using Lamina.Cluster.Models;
using Lamina.Cluster.Tests.Support;

namespace Lamina.Cluster.Tests.Links;

/// <summary>The numbers of blob frames, altered: an offset is into the blob that the digest names, and never into anything else.</summary>
public sealed class BlobFrameTests
{
    private const int Length = 1000;

    private static readonly long[] s_hostile = [-1, long.MinValue, long.MinValue + Length, Length + 1, int.MaxValue, 1L << 32, long.MaxValue - Length, long.MaxValue];

    /// <summary>What stands before and behind the blob in its file, as another tensor's bytes do, never comes along.</summary>
    [Trait("Attack", "B2")]
    [Fact]
    public async Task Request_AnyOffsetAndLength_GivesBytesOfTheBlobOrARefusal()
    {
        string path = Path.Combine(Path.GetTempPath(), $"lamina-blob-{Guid.NewGuid():N}");
        byte[] blob = [.. Enumerable.Range(0, Length).Select(i => (byte)(i % 251))];
        await File.WriteAllBytesAsync(path, [.. Enumerable.Repeat((byte)0xEE, Length), .. blob, .. Enumerable.Repeat((byte)0xEE, Length)]);
        try
        {
            await using LinkPair pair = new(router: (_, _) => new LinkDecision(link => new BlobServer(link, new OneBlob(path, Length, Length)), null));
            Link link = await pair.DialAsync();
            RecordingHandler answers = new();
            link.Start(answers);
            long[] numbers = [0, 1, 999, 1000, .. s_hostile];
            int number = 0;
            foreach ((long offset, long length) in numbers.SelectMany(offset => numbers.Select(length => (offset, length))))
            {
                link.Send(FrameKind.BlobRequest, 0, ++number, Wire.Encode(new BlobProtocol.BlobRequest(BlobDigest.Of(blob).ToString(), offset, length)));
                Frame answer = answers.Take();
                Assert.Equal(number, answer.Step);

                // A negative length asks for all that follows.
                bool fits = offset is >= 0 and <= Length && length <= Length - offset;
                Assert.Equal((offset, length, fits ? FrameKind.BlobChunk : FrameKind.BlobRefused), (offset, length, answer.Kind));
                if (fits)
                {
                    Assert.True(BlobProtocol.TryReadChunk(answer.Payload, out long at, out long whole, out ReadOnlySpan<byte> bytes));
                    Assert.Equal((offset, Length), (at, whole));
                    Assert.Equal(blob.AsSpan((int)offset, (int)(length < 0 ? Length - offset : length)), bytes);
                }
            }
        }
        finally
        {
            File.Delete(path);
        }
    }

    [Trait("Attack", "B2")]
    [Fact]
    public void Chunk_AnyOffsetAndLength_IsTakenOnlyWhereItsBytesLieWithinTheWhole()
    {
        byte[] chunk = new byte[BlobProtocol.ChunkHeadBytes + 10];
        long[] numbers = [0, 10, 990, .. s_hostile];
        foreach ((long offset, long whole) in numbers.SelectMany(offset => numbers.Select(whole => (offset, whole))))
        {
            BinaryPrimitives.WriteInt64LittleEndian(chunk, offset);
            BinaryPrimitives.WriteInt64LittleEndian(chunk.AsSpan(8), whole);
            bool fits = offset >= 0 && whole >= 0 && (Int128)offset + 10 <= whole;
            Assert.Equal((offset, whole, fits), (offset, whole, BlobProtocol.TryReadChunk(chunk, out _, out _, out _)));
        }
    }

    private sealed class OneBlob(string path, long offset, long length) : IBlobStore
    {
        public BlobReader? TryOpen(BlobDigest digest) => new(File.OpenHandle(path), offset, length);
    }
}
