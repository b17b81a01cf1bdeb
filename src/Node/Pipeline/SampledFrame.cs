using System.Buffers.Binary;
using System.Runtime.InteropServices;
using Lamina.Compute.Sampling;

namespace Lamina.Node.Pipeline;

/// <summary>
/// Payload of a Sampled frame, little-endian: count u32, then per token slot i32, token i32, log-probability f32, top count u32 and that many (id i32,
/// log-probability f32); where the token is <see cref="SampledToken.Embedded"/>, then the count u32 of an embedding and its values f32. The step's number stands in
/// the frame's header.
/// </summary>
internal static class SampledFrame
{
    private const int EntryBytes = 16;
    private const int TopBytes = 8;
    private const int ValueBytes = 4;

    /// <summary>Bytes that a step's answer has at most: an entry for each row, with all that can be asked of one.</summary>
    public static long MaxBytes(int rows, int width) => 4 + (rows * (EntryBytes + (SamplingParameters.MaxTopLogProbs * TopBytes) + 4 + ((long)width * ValueBytes)));

    public static int Write(SampledTokens sampled, ref byte[] buffer)
    {
        int length = 4;
        for (int i = 0; i < sampled.Count; i++)
        {
            length = checked(length + EntryBytes + (sampled[i].TopCount * TopBytes) + (sampled[i].Token == SampledToken.Embedded ? 4 + (sampled[i].ValueCount * ValueBytes) : 0));
        }

        if (buffer.Length < length)
        {
            buffer = new byte[Math.Max(length, buffer.Length * 2)];
        }

        Span<byte> left = buffer;
        BinaryPrimitives.WriteInt32LittleEndian(left, sampled.Count);
        left = left[4..];
        for (int i = 0; i < sampled.Count; i++)
        {
            SampledToken token = sampled[i];
            BinaryPrimitives.WriteInt32LittleEndian(left, token.Slot);
            BinaryPrimitives.WriteInt32LittleEndian(left[4..], token.Token);
            BinaryPrimitives.WriteSingleLittleEndian(left[8..], token.LogProb);
            BinaryPrimitives.WriteInt32LittleEndian(left[12..], token.TopCount);
            left = left[EntryBytes..];
            foreach (TokenLogProb top in sampled.Top(token))
            {
                BinaryPrimitives.WriteInt32LittleEndian(left, top.Id);
                BinaryPrimitives.WriteSingleLittleEndian(left[4..], top.LogProb);
                left = left[TopBytes..];
            }

            if (token.Token == SampledToken.Embedded)
            {
                BinaryPrimitives.WriteInt32LittleEndian(left, token.ValueCount);
                MemoryMarshal.AsBytes(sampled.Values(token)).CopyTo(left[4..]);
                left = left[(4 + (token.ValueCount * ValueBytes))..];
            }
        }

        return length;
    }

    /// <summary>Throws <see cref="InvalidDataException"/> unless the counts fit the payload to the byte; whether slots and tokens make sense is the head's to check.</summary>
    public static void Read(ReadOnlySpan<byte> payload, SampledTokens sampled)
    {
        sampled.Clear();
        if (payload.Length < 4)
        {
            throw new InvalidDataException($"sampled frame of {payload.Length} bytes, expected at least 4");
        }

        uint count = BinaryPrimitives.ReadUInt32LittleEndian(payload);
        payload = payload[4..];
        for (uint i = 0; i < count; i++)
        {
            if (payload.Length < EntryBytes)
            {
                throw new InvalidDataException($"sampled frame of {count} tokens ends within token {i}");
            }

            int slot = BinaryPrimitives.ReadInt32LittleEndian(payload);
            int token = BinaryPrimitives.ReadInt32LittleEndian(payload[4..]);
            float logProb = BinaryPrimitives.ReadSingleLittleEndian(payload[8..]);
            uint topCount = BinaryPrimitives.ReadUInt32LittleEndian(payload[12..]);
            payload = payload[EntryBytes..];
            if (topCount > (uint)payload.Length / TopBytes)
            {
                throw new InvalidDataException($"sampled frame's token {i} claims {topCount} most likely tokens in {payload.Length} bytes");
            }

            Span<TokenLogProb> top = sampled.ReserveTop((int)topCount);
            for (int k = 0; k < top.Length; k++)
            {
                top[k] = new TokenLogProb(BinaryPrimitives.ReadInt32LittleEndian(payload), BinaryPrimitives.ReadSingleLittleEndian(payload[4..]));
                payload = payload[TopBytes..];
            }

            int values = token == SampledToken.Embedded ? ReadValues(ref payload, i, sampled) : 0;
            sampled.Add(slot, token, logProb, (int)topCount, values);
        }

        if (!payload.IsEmpty)
        {
            throw new InvalidDataException($"sampled frame has {payload.Length} bytes too many");
        }
    }

    private static int ReadValues(ref ReadOnlySpan<byte> payload, uint entry, SampledTokens sampled)
    {
        uint count = payload.Length < 4 ? uint.MaxValue : BinaryPrimitives.ReadUInt32LittleEndian(payload);
        if (payload.Length < 4 || count > (uint)(payload.Length - 4) / ValueBytes)
        {
            throw new InvalidDataException($"sampled frame's entry {entry} claims an embedding longer than the {payload.Length} bytes left");
        }

        ReadOnlySpan<byte> values = payload.Slice(4, (int)count * ValueBytes);
        MemoryMarshal.Cast<byte, float>(values).CopyTo(sampled.ReserveValues((int)count));
        payload = payload[(4 + values.Length)..];
        return (int)count;
    }
}
