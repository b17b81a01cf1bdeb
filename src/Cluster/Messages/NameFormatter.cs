using MessagePack;
using MessagePack.Formatters;

namespace Lamina.Cluster.Messages;

/// <summary>A name travels as its string (nil for none) and must be valid on arrival.</summary>
internal sealed class NameFormatter<T>(Func<string, T> make, Func<T, string?> text, Func<string?, bool> isValid) : IMessagePackFormatter<T>
    where T : struct
{
    public void Serialize(ref MessagePackWriter writer, T value, MessagePackSerializerOptions options) => writer.Write(text(value));

    public T Deserialize(ref MessagePackReader reader, MessagePackSerializerOptions options)
    {
        if (reader.TryReadNil())
        {
            return default;
        }

        string name = reader.ReadString() ?? "";
        return isValid(name) ? make(name) : throw new MessagePackSerializationException($"a {typeof(T).Name} is not a valid name");
    }
}

/// <summary>Host and port, both checked on arrival; nil for none.</summary>
internal sealed class EndpointFormatter : IMessagePackFormatter<Endpoint>
{
    private const int MaxHostLength = 253;

    public void Serialize(ref MessagePackWriter writer, Endpoint value, MessagePackSerializerOptions options)
    {
        if (value.Host is null)
        {
            writer.WriteNil();
            return;
        }

        writer.WriteArrayHeader(2);
        writer.Write(value.Host);
        writer.Write(value.Port);
    }

    public Endpoint Deserialize(ref MessagePackReader reader, MessagePackSerializerOptions options)
    {
        if (reader.TryReadNil())
        {
            return default;
        }

        if (reader.ReadArrayHeader() != 2)
        {
            throw new MessagePackSerializationException("an endpoint is a host and a port");
        }

        string host = reader.ReadString() ?? "";
        int port = reader.ReadInt32();
        return host.Length <= MaxHostLength && Uri.CheckHostName(host) != UriHostNameType.Unknown && port is >= 0 and <= 65535
            ? new Endpoint(host, port)
            : throw new MessagePackSerializationException("an endpoint's host or port is not valid");
    }
}
