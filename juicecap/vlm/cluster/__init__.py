"""Ray: the nodes of a cluster as sites. The only room that imports ray, which is opened when a recipe asks for it.

options        what a recipe says about the cluster; needs no ray
connection     joining a cluster or starting one, and how many engines fit in it
actor          a site on a node: what runs there, as plain data comes in and goes out
node_report    what a node sees and has, compared with the others
engine_status  what is shown of an engine; needs no ray
seat           one actor: calls with an end, and word of its death
fleet          all actors: started, checked, replaced when they die, used when nodes join
ray_engine     batches at the actors: which actor answers, and what happens when it dies
ray_site       the cluster as a `Site`
"""
