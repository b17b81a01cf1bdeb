using System.Runtime.InteropServices;
using Lamina.Compute.Gguf;
using Lamina.Compute.Tests.Gguf;

namespace Lamina.Compute.Tests.Model.Adapters;

/// <summary>A model of f32 weights with an adapter's changes computed into them, W + scale · B A in doubles: what applying it must equal.</summary>
internal static class MergedModel
{
    public static GgufFile Write(TemporaryFolder folder, string name, GgufFile model, GgufFile adapter, double scale)
    {
        GgufTensorInfo[] infos = [.. model.Tensors.Select(tensor => new GgufTensorInfo(tensor.Name, GgmlType.F32, [.. tensor.Dimensions]))];
        using (GgufWriter writer = GgufWriter.Create(folder[name], model.Metadata, infos))
        {
            for (int i = 0; i < infos.Length; i++)
            {
                float[] values = Floats(model.Tensors[i]);
                if (adapter.TryGet(infos[i].Name + ".lora_a", out TensorView a) && adapter.TryGet(infos[i].Name + ".lora_b", out TensorView b))
                {
                    Merge(values, model.Tensors[i], Floats(a), Floats(b), a, b, scale);
                }

                writer.Write(i, 0, MemoryMarshal.AsBytes(values.AsSpan()));
            }
        }

        return GgufFile.Open(folder[name]);
    }

    private static float[] Floats(in TensorView tensor) => MemoryMarshal.Cast<byte, float>(tensor.RowBytes(0, (int)tensor.Rows)).ToArray();

    private static void Merge(float[] values, in TensorView weight, float[] a, float[] b, in TensorView downs, in TensorView ups, double scale)
    {
        long columns = weight.Columns, parts = weight.Dimensions.Count > 2 ? weight.Dimensions[2] : 1, rows = weight.Rows / parts, rank = ups.Columns;
        bool lookup = weight.Name == "token_embd.weight";
        for (long part = 0; part < parts; part++)
        {
            for (long row = 0; row < rows; row++)
            {
                for (long column = 0; column < columns; column++)
                {
                    double sum = 0;
                    for (long r = 0; r < rank; r++)
                    {
                        sum += lookup
                            ? (double)a[(row * rank) + r] * b[(column * rank) + r]
                            : (double)a[(((part * rank) + r) * columns) + column] * b[(((part * rows) + row) * rank) + r];
                    }

                    ref float value = ref values[(((part * rows) + row) * columns) + column];
                    value = (float)(value + (scale * sum));
                }
            }
        }
    }
}
