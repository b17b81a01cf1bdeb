namespace Lamina.Compute.Kernels;

/// <summary>Work cut into chunks that any worker may take in any order; the result must not depend on who takes which.</summary>
public interface IJob
{
    /// <param name="worker">Index of the executing worker, for workspaces of its own; 0 is the thread that called <see cref="WorkerTeam.Run"/>.</param>
    void Execute(int chunk, int worker);
}
