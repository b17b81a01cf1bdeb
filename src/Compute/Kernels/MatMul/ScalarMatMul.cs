using Lamina.Compute.Gguf;

namespace Lamina.Compute.Kernels;

/// <summary>The definition of <see cref="MatMul"/> in plain C#, one output at a time.</summary>
internal static unsafe class ScalarMatMul
{
    public static void Group(in MatMulTask task, int group)
    {
        RowPanel* panels = stackalloc RowPanel[1];
        if (task.Weights.Form == ActivationForm.Float)
        {
            FloatGroup(task, group);
            return;
        }

        // Lanes outermost: a lane's panels are decoded once for all input rows.
        bool minimums = ActivationForms.HasMinimums(task.Weights.Type);
        int panelCount = (task.Weights.Columns + RowPanel.Length - 1) / RowPanel.Length;
        float[] sums = new float[task.Count * WeightUnits.GroupRows];
        for (int lane = 0; lane < WeightUnits.GroupRows; lane++)
        {
            for (int p = 0; p < panelCount; p++)
            {
                LanePanel(task.Weights, group, lane, p, out *panels);
                for (int i = 0; i < task.Count; i++)
                {
                    ref float sum = ref sums[(i * WeightUnits.GroupRows) + lane];
                    sum = task.Weights.Form == ActivationForm.Blocks
                        ? Blocks(panels, task.Panel(p, i), minimums, sum)
                        : SuperBlock(panels, task.Panel(p, i), minimums, sum);
                }
            }
        }

        for (int i = 0; i < task.Count; i++)
        {
            fixed (float* row = &sums[i * WeightUnits.GroupRows])
            {
                task.Store(group, i, row);
            }
        }
    }

    /// <summary>Gathers and decodes one lane's panel.</summary>
    public static void LanePanel(WeightMatrix weights, int group, int lane, int panel, out RowPanel decoded)
    {
        decoded = default;
        (int elements, int dwords) = WeightUnits.Size(weights.Type);
        int unitsPerPanel = RowPanel.Length / elements;
        int end = Math.Min(weights.Units, (panel + 1) * unitsPerPanel);
        uint* unit = stackalloc uint[dwords];
        for (int u = panel * unitsPerPanel; u < end; u++)
        {
            uint* source = (uint*)weights.Group(group) + ((long)u * dwords * WeightUnits.GroupRows) + lane;
            for (int i = 0; i < dwords; i++)
            {
                unit[i] = source[i * WeightUnits.GroupRows];
            }

            RowDecoder.Decode(weights.Type, unit, ref decoded, (u - (panel * unitsPerPanel)) * elements);
        }
    }

    private static float Blocks(RowPanel* weights, byte* x, bool minimums, float sum)
    {
        float* scales = (float*)(x + ActivationPanel.BlockScales);
        float* blockSums = (float*)(x + ActivationPanel.BlockSums);
        for (int b = 0; b < 8; b++)
        {
            int products = 0;
            for (int k = b * 32; k < (b + 1) * 32; k++)
            {
                products += weights->Values[k] * ((sbyte*)x)[k];
            }

            sum = MathF.FusedMultiplyAdd(weights->D[b] * scales[b], products, sum);
            sum = minimums ? MathF.FusedMultiplyAdd(weights->M[b], blockSums[b], sum) : sum;
        }

        return sum;
    }

    private static float SuperBlock(RowPanel* weights, byte* x, bool hasMinimums, float sum)
    {
        short* sums = (short*)(x + ActivationPanel.Sums16);
        int products = 0, minimums = 0;
        for (int s = 0; s < 16; s++)
        {
            int within = 0;
            for (int k = s * 16; k < (s + 1) * 16; k++)
            {
                within += weights->Values[k] * ((sbyte*)x)[k];
            }

            products += weights->Scales[s] * within;
            minimums += weights->Mins[s] * sums[s];
        }

        float scale = *(float*)(x + ActivationPanel.Scale);
        sum = MathF.FusedMultiplyAdd(weights->D[0] * scale, products, sum);
        return hasMinimums ? MathF.FusedMultiplyAdd(-(weights->M[0] * scale), minimums, sum) : sum;
    }

    private static void FloatGroup(in MatMulTask task, int group)
    {
        GgmlType type = task.Weights.Type;
        (int elements, int dwords) = WeightUnits.Size(type);
        uint* unit = stackalloc uint[dwords];
        float* values = stackalloc float[elements];
        float[] sums = new float[task.Count * WeightUnits.GroupRows];
        for (int lane = 0; lane < WeightUnits.GroupRows; lane++)
        {
            uint* source = (uint*)task.Weights.Group(group) + lane;
            for (int u = 0; u < task.Weights.Units; u++)
            {
                for (int i = 0; i < dwords; i++, source += WeightUnits.GroupRows)
                {
                    unit[i] = *source;
                }

                RowDecoder.Dequantize(type, unit, values);
                int count = Math.Min(elements, task.Weights.Columns - (u * elements));
                for (int i = 0; i < task.Count; i++)
                {
                    float* x = task.Input(i) + ((long)u * elements);
                    float sum = sums[(i * WeightUnits.GroupRows) + lane];
                    for (int k = 0; k < count; k++)
                    {
                        sum = MathF.FusedMultiplyAdd(values[k], x[k], sum);
                    }

                    sums[(i * WeightUnits.GroupRows) + lane] = sum;
                }
            }
        }

        for (int i = 0; i < task.Count; i++)
        {
            fixed (float* row = &sums[i * WeightUnits.GroupRows])
            {
                task.Store(group, i, row);
            }
        }
    }
}
