using System.Buffers.Binary;
using CsCheck;
using Lamina.Compute.Sampling;
using Lamina.Node.Pipeline;

namespace Lamina.Node.Tests.Pipeline;

public class SampledFrameTests
{
    private static readonly Gen<(int Slot, int Token, float LogProb, (int, float)[] Top)[]> s_tokens =
        Gen.Select(Gen.Int, Gen.Int, Gen.Float[-20, 0], Gen.Select(Gen.Int, Gen.Float[-20, 0]).Array[0, 4]).Array[0, 6];

    [Fact]
    public void Tokens_WrittenAndRead_AreTheSame() => s_tokens.Sample(tokens =>
    {
        byte[] payload = Encode(tokens);
        var read = new SampledTokens();
        SampledFrame.Read(payload, read);
        Assert.Equal(tokens.Length, read.Count);
        for (int i = 0; i < tokens.Length; i++)
        {
            Assert.Equal((tokens[i].Slot, tokens[i].Token, tokens[i].LogProb), (read[i].Slot, read[i].Token, read[i].LogProb));
            Assert.Equal(tokens[i].Top.Select(t => new TokenLogProb(t.Item1, t.Item2)), read.Top(read[i]).ToArray());
        }
    }, iter: 1000);

    [Fact]
    public void Frame_TruncatedOrLengthened_IsRefused()
    {
        byte[] payload = Encode([(1, 2, -1, [(3, -1), (4, -2)]), (5, 6, -1, [])]);
        for (int length = 0; length < payload.Length; length++)
        {
            Assert.Throws<InvalidDataException>(() => SampledFrame.Read(payload.AsSpan(0, length), new SampledTokens()));
        }

        Assert.Throws<InvalidDataException>(() => SampledFrame.Read([.. payload, 0], new SampledTokens()));
    }

    [Trait("Attack", "B1")]
    [Theory, InlineData(0, 0xFFFFFFFFu), InlineData(16, 0xFFFFFFFFu), InlineData(16, 0x20000000u)]
    public void Frame_WithALyingCount_IsRefused(int offset, uint value)
    {
        byte[] payload = Encode([(1, 2, -1, [(3, -1)])]);
        BinaryPrimitives.WriteUInt32LittleEndian(payload.AsSpan(offset), value);
        Assert.Throws<InvalidDataException>(() => SampledFrame.Read(payload, new SampledTokens()));
    }

    private static byte[] Encode((int Slot, int Token, float LogProb, (int, float)[] Top)[] tokens)
    {
        var sampled = new SampledTokens();
        foreach ((int slot, int token, float logProb, (int, float)[] top) in tokens)
        {
            Span<TokenLogProb> room = sampled.ReserveTop(top.Length);
            for (int i = 0; i < top.Length; i++)
            {
                room[i] = new TokenLogProb(top[i].Item1, top[i].Item2);
            }

            sampled.Add(slot, token, logProb, top.Length);
        }

        byte[] buffer = [];
        int length = SampledFrame.Write(sampled, ref buffer);
        return buffer[..length];
    }
}
