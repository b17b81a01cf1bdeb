using System.Buffers.Binary;

namespace Lamina.Cluster.Remoting;

/// <summary>Looks single fields of a protobuf message up without building it: what the transport checks, it checks before Akka's own decoder sees the bytes.</summary>
internal static class ProtobufFields
{
    /// <summary>The length-delimited field, empty when absent. False when malformed, or when the field comes twice: protobuf would merge them.</summary>
    public static bool TryFind(ReadOnlySpan<byte> message, int field, out ReadOnlySpan<byte> value)
    {
        value = default;
        bool found = false;
        while (!message.IsEmpty)
        {
            if (!TryNext(ref message, out int number, out int wireType, out ReadOnlySpan<byte> bytes, out _))
            {
                return false;
            }

            if (number == field)
            {
                if (found || wireType != 2)
                {
                    return false;
                }

                value = bytes;
                found = true;
            }
        }

        return true;
    }

    public static bool TryFindNumber(ReadOnlySpan<byte> message, int field, out ulong value)
    {
        value = 0;
        while (!message.IsEmpty)
        {
            if (!TryNext(ref message, out int number, out int wireType, out _, out ulong found))
            {
                return false;
            }

            if (number == field)
            {
                value = found;
                if (wireType != 0)
                {
                    return false;
                }
            }
        }

        return true;
    }

    /// <summary>Takes one field off the front. <paramref name="bytes"/> is set for length-delimited fields, <paramref name="number"/> for varints and fixed ones.</summary>
    public static bool TryNext(scoped ref ReadOnlySpan<byte> message, out int field, out int wireType, out ReadOnlySpan<byte> bytes, out ulong number)
    {
        bytes = default;
        number = 0;
        field = wireType = 0;
        if (!TryReadVarint(ref message, out ulong tag) || tag > uint.MaxValue)
        {
            return false;
        }

        (field, wireType) = ((int)(tag >> 3), (int)(tag & 7));
        switch (wireType)
        {
            case 0:
                return TryReadVarint(ref message, out number);
            case 1 when message.Length >= 8:
                number = BinaryPrimitives.ReadUInt64LittleEndian(message);
                message = message[8..];
                return true;
            case 2 when TryReadVarint(ref message, out ulong length) && length <= (ulong)message.Length:
                bytes = message[..(int)length];
                message = message[(int)length..];
                return true;
            case 5 when message.Length >= 4:
                message = message[4..];
                return true;
            default:
                return false;
        }
    }

    public static bool TryReadVarint(scoped ref ReadOnlySpan<byte> message, out ulong value)
    {
        value = 0;
        for (int i = 0; i < Math.Min(10, message.Length); i++)
        {
            value |= (ulong)(message[i] & 0x7F) << (7 * i);
            if (message[i] < 0x80)
            {
                message = message[(i + 1)..];
                return true;
            }
        }

        return false;
    }
}
