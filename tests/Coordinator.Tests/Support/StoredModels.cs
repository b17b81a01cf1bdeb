using Lamina.Compute.Gguf;

namespace Lamina.Coordinator.Tests.Support;

/// <summary>Model files as small as a store takes them.</summary>
internal static class StoredModels
{
    public static string Write(string folder, byte fill = 1, string name = "model.gguf")
    {
        string path = Path.Combine(folder, name);
        GgufMetadata metadata = new GgufMetadataBuilder().Set("general.architecture", "llama").Set("tokenizer.ggml.tokens", ["a", "b"]).Build();
        (GgufTensorInfo, byte[])[] tensors =
        [
            (new GgufTensorInfo("token_embd.weight", GgmlType.F32, [32, 2]), Filled(256, fill)),
            (new GgufTensorInfo("output.weight", GgmlType.Q8_0, [32, 4]), Filled(136, (byte)(fill + 1))),
        ];
        File.WriteAllBytes(path, GgufWriter.ToBytes(metadata, tensors));
        return path;
    }

    private static byte[] Filled(int length, byte value)
    {
        byte[] bytes = new byte[length];
        Array.Fill(bytes, value);
        return bytes;
    }
}
