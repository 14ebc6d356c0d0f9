pub struct ScriptedDestination;
pub enum Act {
    A,
}
