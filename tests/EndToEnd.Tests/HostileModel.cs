using System.Buffers.Binary;
using System.Text;
using Lamina.Compute.Gguf;
using Lamina.TestSupport;

namespace Lamina.EndToEnd.Tests;

/// <summary>The built-in model, made hostile in one place.</summary>
internal static class HostileModel
{
    // Behind a key: its type, then the value; of an array the type and number of its elements, then the elements.
    // Behind the name of a matrix: the number of dimensions, two of them, the type and the offset of its data.
    public const int Value = 4, ElementCount = 8, FirstElement = 16, Columns = 4, Rows = 12, Offset = 24, LengthOfName = -8;

    public static string GoodPath { get; } = Repository.File("models/lamina-tiny-q8_0.gguf");

    public static byte[] Good() => File.ReadAllBytes(GoodPath);

    /// <param name="at">Bytes from the start of the file.</param>
    public static byte[] Patched(int at, ulong value)
    {
        byte[] file = Good();
        BinaryPrimitives.WriteUInt64LittleEndian(file.AsSpan(at), value);
        return file;
    }

    /// <param name="name">A key or the name of a tensor.</param>
    /// <param name="behind">Bytes from its end; from its start where that is less than 0.</param>
    public static byte[] Patched(string name, int behind, ulong value)
    {
        byte[] file = Good();
        BinaryPrimitives.WriteUInt64LittleEndian(file.AsSpan(Place(file, name, behind)), value);
        return file;
    }

    public static byte[] PatchedWord(string name, int behind, uint value)
    {
        byte[] file = Good();
        BinaryPrimitives.WriteUInt32LittleEndian(file.AsSpan(Place(file, name, behind)), value);
        return file;
    }

    public static byte[] PatchedByte(string name, int behind, byte value)
    {
        byte[] file = Good();
        file[Place(file, name, behind)] = value;
        return file;
    }

    /// <summary>The same tensors under other metadata.</summary>
    public static byte[] With(Action<GgufMetadataBuilder> change) => Rewritten(change, (_, _) => { });

    /// <summary>The same header over other weights.</summary>
    public static byte[] With(Action<string, byte[]> changeTensor) => Rewritten(_ => { }, changeTensor);

    private static int Place(byte[] file, string name, int behind)
    {
        int at = file.AsSpan().IndexOf(Encoding.UTF8.GetBytes(name));
        Assert.True(at > 0, $"the built-in model has no '{name}'");
        return behind < 0 ? at + behind : at + Encoding.UTF8.GetByteCount(name) + behind;
    }

    private static byte[] Rewritten(Action<GgufMetadataBuilder> change, Action<string, byte[]> changeTensor)
    {
        using GgufFile file = GgufFile.Open(GoodPath);
        GgufMetadataBuilder metadata = new(file.Metadata);
        change(metadata);
        List<(GgufTensorInfo, byte[])> tensors = [];
        foreach (TensorView tensor in file.Tensors)
        {
            byte[] data = tensor.RowBytes(0, (int)tensor.Rows).ToArray();
            changeTensor(tensor.Name, data);
            tensors.Add((new GgufTensorInfo(tensor.Name, tensor.Type, tensor.Dimensions), data));
        }

        return GgufWriter.ToBytes(metadata.Build(), tensors);
    }
}
