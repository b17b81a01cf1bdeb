using Lamina.Compute.Model;
using MessagePack;
using MessagePack.Formatters;

namespace Lamina.Cluster.Messages;

/// <summary>Token ids of a prompt: as any array of integers on the wire, and in an array that leaves no copy behind when its receiver has cleared it.</summary>
public sealed class TokensFormatter : IMessagePackFormatter<int[]?>
{
    public void Serialize(ref MessagePackWriter writer, int[]? value, MessagePackSerializerOptions options)
    {
        if (value is null)
        {
            writer.WriteNil();
            return;
        }

        writer.WriteArrayHeader(value.Length);
        foreach (int token in value)
        {
            writer.Write(token);
        }
    }

    public int[]? Deserialize(ref MessagePackReader reader, MessagePackSerializerOptions options)
    {
        if (reader.TryReadNil())
        {
            return null;
        }

        // The reader refuses a length beyond the bytes that are left.
        int[] tokens = UnmovedArray.New<int>(reader.ReadArrayHeader());
        for (int i = 0; i < tokens.Length; i++)
        {
            tokens[i] = reader.ReadInt32();
        }

        return tokens;
    }
}
