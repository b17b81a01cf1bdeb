using ILGPU;

namespace Lamina.Compute.Gpu.Code;

/// <summary>What <c>ExpertShape</c> says, as numbers.</summary>
internal struct RouterForm
{
    public int Count, Used, Groups, GroupsUsed, Normalise;

    /// <summary>0 = softmax, 1 = sigmoid, 2 = softmax over the chosen only.</summary>
    public int Kind;
    public float WeightScale;
}

/// <summary>Which experts a step's rows go to, without asking the host.</summary>
internal static class ExpertCode
{
    private const float Excluded = -3.4e38f;

    /// <summary>Chooses each row's experts, a thread a row.</summary>
    /// <param name="selection">[rows][experts], overwritten: what the choice goes by.</param>
    /// <param name="bias">[experts], or empty.</param>
    /// <param name="chosen">[rows × used], best first.</param>
    [DeviceKernel]
    public static void Route(RowsView scores, RowsView selection, ArrayView<float> bias, RouterForm form, ArrayView<int> chosen, ArrayView<float> weights, int rows)
    {
        for (int row = SoloTeam.Index; row < rows; row += SoloTeam.Count)
        {
            Probabilities(scores, row, form);
            for (int e = 0; e < form.Count; e++)
            {
                float score = scores.Get(row, e) + (bias.Length > 0 ? bias[e] : 0);
                selection.Set(row, e, score > Excluded ? score : Excluded);
            }

            if (form.Groups > 1)
            {
                KeepBestGroups(selection, row, form);
            }

            float sum = 0;
            for (int k = 0; k < form.Used; k++)
            {
                int best = 0;
                for (int e = 1; e < form.Count; e++)
                {
                    best = selection.Get(row, e) > selection.Get(row, best) ? e : best;
                }

                selection.Set(row, best, float.NegativeInfinity);
                chosen[(row * form.Used) + k] = best;
                weights[(row * form.Used) + k] = scores.Get(row, best);
            }

            if (form.Kind == 2)
            {
                SoftmaxOfChosen(weights, row * form.Used, form.Used);
            }

            for (int k = 0; k < form.Used; k++)
            {
                sum += weights[(row * form.Used) + k];
            }

            // 2^-14, the smallest normal half: where all weights vanish, nothing is divided by zero.
            sum = sum > 6.103515625e-5f ? sum : 6.103515625e-5f;
            for (int k = 0; k < form.Used; k++)
            {
                float weight = weights[(row * form.Used) + k];
                weights[(row * form.Used) + k] = (form.Normalise != 0 ? weight / sum : weight) * form.WeightScale;
            }
        }
    }

    /// <summary>Sorts uses by expert, rows rising within one; a thread an expert.</summary>
    /// <param name="useOf">[rows × used]: the use of each row's k-th expert.</param>
    [DeviceKernel]
    public static void Sort(ArrayView<int> chosen, ExpertView experts, ArrayView<int> useOf, int count, int used, int uses)
    {
        for (int expert = SoloTeam.Index; expert <= count; expert += SoloTeam.Count)
        {
            int before = 0;
            for (int i = 0; i < uses; i++)
            {
                before += chosen[i] < expert ? 1 : 0;
            }

            experts.First[expert] = before;
            for (int i = 0; i < uses; i++)
            {
                if (chosen[i] == expert)
                {
                    experts.Expert[before] = expert;
                    experts.Row[before] = i / used;
                    useOf[i] = before++;
                }
            }
        }
    }

    /// <summary>y[row] = sum over the row's uses of weight × x[use].</summary>
    [DeviceKernel]
    public static void Combine(RowsView x, ArrayView<int> useOf, ArrayView<float> weights, RowsView y, int rows, int used, int length)
    {
        for (long work = SoloTeam.Index; work < (long)rows * length; work += SoloTeam.Count)
        {
            int row = (int)(work / length), column = (int)(work % length);
            float sum = 0;
            for (int k = 0; k < used; k++)
            {
                sum += x.Get(useOf[(row * used) + k], column) * weights[(row * used) + k];
            }

            y.Set(row, column, sum);
        }
    }

    private static void Probabilities(RowsView scores, int row, RouterForm form)
    {
        if (form.Kind == 1)
        {
            for (int e = 0; e < form.Count; e++)
            {
                scores.Set(row, e, 1f / (1f + Intrinsics.Exp(-scores.Get(row, e))));
            }
        }
        else if (form.Kind == 0)
        {
            float max = scores.Get(row, 0), sum = 0;
            for (int e = 1; e < form.Count; e++)
            {
                max = scores.Get(row, e) > max ? scores.Get(row, e) : max;
            }

            for (int e = 0; e < form.Count; e++)
            {
                float value = Intrinsics.Exp(scores.Get(row, e) - max);
                scores.Set(row, e, value);
                sum += value;
            }

            for (int e = 0; e < form.Count; e++)
            {
                scores.Set(row, e, scores.Get(row, e) / sum);
            }
        }
    }

    private static void SoftmaxOfChosen(ArrayView<float> weights, int first, int used)
    {
        float max = weights[first], sum = 0;
        for (int k = 0; k < used; k++)
        {
            max = weights[first + k] > max ? weights[first + k] : max;
        }

        for (int k = 0; k < used; k++)
        {
            weights[first + k] = Intrinsics.Exp(weights[first + k] - max);
            sum += weights[first + k];
        }

        for (int k = 0; k < used; k++)
        {
            weights[first + k] /= sum;
        }
    }

    /// <summary>Rules out every expert outside the groups whose two best experts sum highest; of equal groups the lower number stands first. At most 64 groups.</summary>
    private static void KeepBestGroups(RowsView selection, int row, RouterForm form)
    {
        int size = form.Count / form.Groups;
        ulong kept = 0;
        for (int group = 0; group < form.Groups; group++)
        {
            float own = TwoBest(selection, row, group * size, size);
            int before = 0;
            for (int other = 0; other < form.Groups; other++)
            {
                float sum = TwoBest(selection, row, other * size, size);
                before += sum > own || (sum == own && other < group) ? 1 : 0;
            }

            kept |= before < form.GroupsUsed ? 1ul << group : 0;
        }

        for (int e = 0; e < form.Count; e++)
        {
            if ((kept >> (e / size) & 1) == 0)
            {
                selection.Set(row, e, float.NegativeInfinity);
            }
        }
    }

    private static float TwoBest(RowsView selection, int row, int first, int size)
    {
        float best = float.NegativeInfinity, second = float.NegativeInfinity;
        for (int e = first; e < first + size; e++)
        {
            float score = selection.Get(row, e);
            second = score > best ? best : score > second ? score : second;
            best = score > best ? score : best;
        }

        return size > 1 ? best + second : best;
    }
}
