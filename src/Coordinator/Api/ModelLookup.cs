using Lamina.Coordinator.Models;

namespace Lamina.Coordinator.Api;

/// <summary>Finds what a caller may use. A model of another tenant, one that its rules do not name and one that does not exist get the same answer.</summary>
/// <param name="allows">Whether a model exists for a caller; null when all of its tenant do.</param>
public sealed class ModelLookup(Func<IReadOnlyList<Cell>> cells, Func<Caller, string, bool>? allows = null)
{
    public bool Allows(Caller caller, string name) => allows is null || allows(caller, name);

    public Cell CellOf(Caller caller) =>
        cells().FirstOrDefault(cell => cell.Tenant == caller.Tenant) ?? throw ApiError.ModelNotFound().AsException();

    /// <summary>The model if it serves, or is recovering from a loss and a generation may wait for it.</summary>
    public (Cell Cell, ServedModel Model) Require(Caller caller, string name)
    {
        Cell cell = CellOf(caller);
        DeploymentView? view = cell.Deployments.FirstOrDefault(deployment => deployment.Name == name);
        if (view is null || !Allows(caller, name))
        {
            throw ApiError.ModelNotFound().AsException();
        }

        if (view.Refused)
        {
            throw ApiError.ModelRefused().AsException();
        }

        if (view.Phase == DeploymentPhase.Failed)
        {
            throw ApiError.Unavailable("the model could not be deployed", retryAfterSeconds: 30).AsException();
        }

        if (cell.IsRefusing && !caller.IsOwedAnAnswer)
        {
            throw ApiError.Unavailable("this coordinator is about to end; another one of the cell takes the request").AsException();
        }

        return cell.HasServed(name) && cell.FindModel(name) is { } model
            ? (cell, model)
            : throw ApiError.Unavailable($"the model is not ready yet: {PhaseText(view.Phase)}").AsException();
    }

    /// <summary>As <see cref="Require"/>, for a model that continues texts.</summary>
    public (Cell Cell, ServedModel Model) RequireGenerator(Caller caller, string name)
    {
        (Cell cell, ServedModel model) = Require(caller, name);
        return model.Generates ? (cell, model) : throw ApiError.InvalidValue("model", "the model generates no text: it embeds texts, by /v1/embeddings").AsException();
    }

    /// <summary>As <see cref="Require"/>, for a model whose file says how embeddings are made.</summary>
    public (Cell Cell, ServedModel Model) RequireEmbedder(Caller caller, string name)
    {
        (Cell cell, ServedModel model) = Require(caller, name);
        return model.Embeds ? (cell, model) : throw ApiError.InvalidValue("model", "the model gives no embeddings: its file does not say how they are pooled").AsException();
    }

    private static string PhaseText(DeploymentPhase phase) => phase switch
    {
        DeploymentPhase.Importing => "it is being imported",
        DeploymentPhase.WaitingForNodes => "it waits for nodes",
        _ => "it is being loaded",
    };
}
