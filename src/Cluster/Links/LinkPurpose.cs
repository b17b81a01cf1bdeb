namespace Lamina.Cluster.Links;

/// <summary>What a link is opened for; the first byte of its hello. Numbers are frozen: they go over the wire.</summary>
public enum LinkPurpose : byte
{
    /// <summary>Activation rows from a stage to its successor (node to node).</summary>
    Activations = 1,

    /// <summary>Chosen tokens from the tail to the head (node to node).</summary>
    Tokens = 2,

    /// <summary>Submissions and token events (coordinator to head).</summary>
    Generations = 3,

    /// <summary>Content-addressed blobs: manifests and tensors (node to coordinator or node).</summary>
    Blobs = 4,

    /// <summary>Kept answers of one coordinator, so that another can go on with them (coordinator to coordinator).</summary>
    Mirror = 5,

    /// <summary>The events of one kept answer, read through another coordinator (coordinator to coordinator).</summary>
    Answers = 6,
}
