using System.Buffers.Binary;
using System.Text;
using Lamina.Cluster.Messages;

namespace Lamina.Cluster.Remoting;

/// <summary>
/// Reads the origin that an Akka protocol unit claims. Units are protobuf (Akka.Remote's WireFormats.proto): AkkaProtocolMessage { bytes payload = 1; AkkaControlMessage
/// instruction = 2 }, AkkaControlMessage { enum commandType = 1; AkkaHandshakeInfo handshakeInfo = 2 }, AkkaHandshakeInfo { AddressData origin = 1; fixed64 uid = 2 },
/// AddressData { string system = 1, hostname = 2; uint32 port = 3; string protocol = 4 }.
/// </summary>
internal static class AssociateOrigin
{
    private const int Instruction = 2, HandshakeInfo = 2, Origin = 1, System = 1, Host = 2, Port = 3;

    /// <summary>False when the bytes are no such unit; <paramref name="origin"/> is null when the unit claims none.</summary>
    public static bool TryRead(ReadOnlySpan<byte> unit, out (string System, Endpoint Endpoint)? origin)
    {
        origin = null;
        if (!TryFind(unit, Instruction, out ReadOnlySpan<byte> instruction))
        {
            return false;
        }

        if (!TryFind(instruction, HandshakeInfo, out ReadOnlySpan<byte> info) || !TryFind(info, Origin, out ReadOnlySpan<byte> address))
        {
            return false;
        }

        if (address.IsEmpty)
        {
            return info.IsEmpty;
        }

        if (!TryFind(address, System, out ReadOnlySpan<byte> system) || !TryFind(address, Host, out ReadOnlySpan<byte> host) || !TryFindNumber(address, Port, out ulong port) || port > ushort.MaxValue)
        {
            return false;
        }

        origin = (Encoding.UTF8.GetString(system), new Endpoint(Encoding.UTF8.GetString(host), (int)port));
        return true;
    }

    /// <summary>The length-delimited field, empty when absent. False when malformed, or when the field comes twice: protobuf would merge them.</summary>
    private static bool TryFind(ReadOnlySpan<byte> message, int field, out ReadOnlySpan<byte> value)
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

    private static bool TryFindNumber(ReadOnlySpan<byte> message, int field, out ulong value)
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

    private static bool TryNext(scoped ref ReadOnlySpan<byte> message, out int field, out int wireType, out ReadOnlySpan<byte> bytes, out ulong number)
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

    private static bool TryReadVarint(scoped ref ReadOnlySpan<byte> message, out ulong value)
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
