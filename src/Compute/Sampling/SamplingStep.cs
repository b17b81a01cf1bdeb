namespace Lamina.Compute.Sampling;

/// <summary>One step of the chain between logits and the draw. The numbers travel on the wire.</summary>
public enum SamplingStep
{
    /// <summary>Repetition, presence and frequency penalties.</summary>
    Penalties = 0,

    /// <summary>Penalty on tokens that would prolong a sequence said before ("don't repeat yourself").</summary>
    Dry = 1,
    TopNSigma = 2,
    TopK = 3,
    Typical = 4,
    TopP = 5,
    MinP = 6,

    /// <summary>Removes the most likely tokens but the last that is likely enough ("exclude top choices").</summary>
    Xtc = 7,
    Temperature = 8,
}
