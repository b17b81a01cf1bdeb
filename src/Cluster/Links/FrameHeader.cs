using System.Buffers.Binary;

namespace Lamina.Cluster.Links;

/// <summary>A frame's first 16 bytes, little-endian: length of the payload u32, kind u8, flags u8 (0), reserved u16 (0), epoch u32, step u32.</summary>
internal readonly record struct FrameHeader(uint Length, FrameKind Kind, int Epoch, int Step)
{
    public const int Size = 16;

    public void Write(Span<byte> destination)
    {
        BinaryPrimitives.WriteUInt32LittleEndian(destination, Length);
        BinaryPrimitives.WriteUInt32LittleEndian(destination[4..], (byte)Kind);
        BinaryPrimitives.WriteInt32LittleEndian(destination[8..], Epoch);
        BinaryPrimitives.WriteInt32LittleEndian(destination[12..], Step);
    }

    /// <summary>False when flags or reserved bits are set: nothing of this version sends them.</summary>
    public static bool TryRead(ReadOnlySpan<byte> source, out FrameHeader header)
    {
        uint kind = BinaryPrimitives.ReadUInt32LittleEndian(source[4..]);
        header = new FrameHeader(
            BinaryPrimitives.ReadUInt32LittleEndian(source), (FrameKind)kind, BinaryPrimitives.ReadInt32LittleEndian(source[8..]), BinaryPrimitives.ReadInt32LittleEndian(source[12..]));
        return kind <= byte.MaxValue;
    }
}

internal static class FrameKinds
{
    /// <summary>Data frames take a credit.</summary>
    public static bool IsData(this FrameKind kind) =>
        kind is FrameKind.Step or FrameKind.Sampled or FrameKind.Submit or FrameKind.TokensGenerated or FrameKind.TextEmbedded or FrameKind.BlobChunk
            or FrameKind.KeepAnswer or FrameKind.AnswerProgress or FrameKind.AnswerEvent;

    /// <summary>Frames that go to the link's handler; the others are the link's own.</summary>
    public static bool IsForHandler(this FrameKind kind) => kind >= FrameKind.Step && Enum.IsDefined(kind);

    public static int PayloadLimit(this FrameKind kind, LinkOptions options) => kind switch
    {
        FrameKind.Hello => LinkHello.MaxBytes,
        FrameKind.HelloRefused or FrameKind.Close => LinkText.MaxBytes,
        FrameKind.Ping or FrameKind.Pong => sizeof(long),
        FrameKind.HelloAccepted or FrameKind.Credit => 0,
        _ => options.MaxFrameBytes,
    };
}
