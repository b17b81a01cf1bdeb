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
        if (!ProtobufFields.TryFind(unit, Instruction, out ReadOnlySpan<byte> instruction))
        {
            return false;
        }

        if (!ProtobufFields.TryFind(instruction, HandshakeInfo, out ReadOnlySpan<byte> info) || !ProtobufFields.TryFind(info, Origin, out ReadOnlySpan<byte> address))
        {
            return false;
        }

        if (address.IsEmpty)
        {
            return info.IsEmpty;
        }

        if (!ProtobufFields.TryFind(address, System, out ReadOnlySpan<byte> system) || !ProtobufFields.TryFind(address, Host, out ReadOnlySpan<byte> host) || !ProtobufFields.TryFindNumber(address, Port, out ulong port) || port > ushort.MaxValue)
        {
            return false;
        }

        origin = (Encoding.UTF8.GetString(system), new Endpoint(Encoding.UTF8.GetString(host), (int)port));
        return true;
    }
}
